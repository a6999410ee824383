//! Deals of every stage: closed ones over the past year, open ones around today and ahead.

use super::{Cell, Dice, Id, Module, Planted, Sower, picklist, words};
use crate::sandbox::crm::{Change, Happening};

pub(super) fn sow(sower: &mut Sower) {
    for at in 0..DEALS {
        let Some(contact) = sower.dice.one(&sower.contacts).copied() else {
            return;
        };
        plant(sower, contact, at);
    }
    // Zoho's own sample deals have no expected revenue.
    let deals = sower.crm.table(Module::Deals).keys();
    let some: Vec<Id> = deals.copied().step_by(9).collect();
    for id in some {
        sower.crm.uncompute(Module::Deals, id, "Expected_Revenue");
    }
}

fn plant(sower: &mut Sower, contact: Planted, at: usize) {
    let stage = stage(&mut sower.dice, at);
    let closed = stage.outcome != "Open";
    let Some(&(product, price)) = sower.dice.one(words::PRODUCTS) else {
        return;
    };
    let closing = if closed {
        -sower.dice.between(0, 364)
    } else {
        sower.dice.between(-35, 170)
    };
    // A deal exists for some time before it closes, and never starts in the future.
    let age = (-closing).max(0) + sower.dice.between(12, 140);
    let account = contact
        .account
        .and_then(|id| sower.crm.get(Module::Accounts, id));
    let name = format!(
        "{}: {product}",
        account
            .and_then(|a| a.text("Account_Name"))
            .unwrap_or("Walk-in")
    );
    let mut deal = sower.blank();
    let id = deal.id;
    deal.set("Deal_Name", Cell::text(name));
    deal.set("Stage", Cell::text(stage.actual));
    // Some sellers are less sure of a deal than its stage is.
    let doubt = if !closed && at % 7 == 3 { 5 } else { 0 };
    deal.set("Probability", Cell::Int(stage.probability - doubt));
    // Some early deals have no amount yet, as in life.
    let unpriced = stage.probability == 10 && sower.dice.chance(12);
    let amount = price * sower.dice.between(60, 190) / 100 / 50 * 50;
    deal.set("Amount", (!unpriced).then_some(Cell::Number(amount as f64)));
    deal.set("Closing_Date", Cell::Day(sower.day(closing)));
    deal.set("Pipeline", Cell::text("Standard (Standard)"));
    deal.set("Account_Name", contact.account.map(Cell::Ref));
    deal.set("Contact_Name", Cell::Ref(contact.id));
    deal.set("Type", sower.choice(picklist::DEAL_TYPE));
    deal.set("Lead_Source", sower.choice(picklist::LEAD_SOURCE));
    if !closed {
        deal.set("Next_Step", sower.choice(words::NEXT_STEPS));
    }
    if stage.outcome == "Closed Lost" {
        deal.set("Reason_For_Loss__s", sower.choice(picklist::LOSS));
    }
    sower.plant(Module::Deals, deal, contact.owner, age, "crm_ui");
    remember_stage(sower, id, contact, stage.actual);
}

/// The timeline tells that the deal came from the first stage.
fn remember_stage(sower: &mut Sower, id: Id, owner: Planted, stage: &str) {
    let Some(field) = Module::Deals
        .field("Stage")
        .filter(|_| stage != "Qualification")
    else {
        return;
    };
    let Some(deal) = sower.crm.get(Module::Deals, id).cloned() else {
        return;
    };
    let Some(Cell::Moment(at)) = deal.get("Modified_Time").cloned() else {
        return;
    };
    let changes = vec![Change {
        field,
        old: Some(Cell::text("Qualification")),
        new: Some(Cell::text(stage)),
    }];
    let line = Happening {
        id,
        at,
        by: owner.owner,
        action: "updated",
        source: "crm_ui",
        module: Module::Deals,
        record: id,
        changes,
    };
    let put = sower.crm.put(Module::Deals, deal, line);
    debug_assert!(put.is_ok(), "the seed fits");
}

/// Every stage once, then a mix: 30 % won, 15 % lost, the rest open.
fn stage(dice: &mut Dice, at: usize) -> &'static picklist::StageRow {
    let open = &picklist::STAGES.get(..6).unwrap_or_default();
    let lost = &picklist::STAGES.get(7..).unwrap_or_default();
    let mixed = match dice.below(100) {
        0..30 => picklist::stage(picklist::WON),
        30..45 => dice.one(lost),
        _ => dice.one(open),
    };
    picklist::STAGES.get(at).or(mixed).unwrap_or(&FALLBACK)
}

const FALLBACK: picklist::StageRow = picklist::open("Qualification", "Qualification", 10);

const DEALS: usize = 340;
