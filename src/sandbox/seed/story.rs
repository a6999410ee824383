//! One contact with a history worth asking about: the one that the first question of the README
//! and the banner finds.

use super::{
    Cell, Module, Planted, Sower,
    activity::{about, plant_note},
    picklist,
};

pub(super) fn sow(sower: &mut Sower) {
    // A search begins with the newest one.
    let mut contacts = sower.crm.table(Module::Contacts).values().rev();
    let found = contacts.find_map(|it| {
        (it.text("First_Name") == Some("Giulia")).then_some(Planted {
            id: it.id,
            owner: it.points_at("Owner")?,
            account: it.points_at("Account_Name"),
        })
    });
    let Some(contact) = found else { return };
    let deal = deal(sower, contact);
    for (title, text, days) in NOTES {
        plant_note(sower, contact, Some(Cell::text(*title)), text, *days);
    }
    for (subject, length, days) in CALLS {
        call(sower, deal, (subject, length), *days);
    }
    task(sower, deal);
}

fn deal(sower: &mut Sower, contact: Planted) -> Planted {
    let mut deal = sower.blank();
    let id = deal.id;
    let stage = picklist::stage("Proposal/Price Quote");
    let probability = stage.map_or(75, |stage| stage.probability);
    deal.set(
        "Deal_Name",
        Cell::text("Renewal of the laboratory balances"),
    );
    deal.set("Stage", Cell::text("Proposal/Price Quote"));
    deal.set("Probability", Cell::Int(probability));
    deal.set("Amount", Cell::Number(18_400.0));
    deal.set("Closing_Date", Cell::Day(sower.day(24)));
    deal.set("Pipeline", Cell::text("Standard (Standard)"));
    deal.set("Account_Name", contact.account.map(Cell::Ref));
    deal.set("Contact_Name", Cell::Ref(contact.id));
    deal.set("Type", Cell::text("Existing Business"));
    deal.set("Next_Step", Cell::text("Send the revised offer"));
    sower.plant(Module::Deals, deal, contact.owner, 33, "crm_ui");
    Planted {
        id,
        owner: contact.owner,
        account: Some(contact.id),
    }
}

fn call(sower: &mut Sower, deal: Planted, (subject, length): (&str, &str), days_ago: i64) {
    let mut call = about(sower, deal);
    let start = sower.moment(-days_ago);
    call.set("Subject", Cell::text(subject));
    call.set("Call_Type", Cell::text("Outbound"));
    call.set("Call_Status", Cell::text("Completed"));
    call.set("Call_Start_Time", Cell::Moment(start));
    call.set("Call_Duration", Cell::text(length));
    call.set("Call_Purpose", Cell::text("Negotiation"));
    call.set("Call_Result", Cell::text("Interested"));
    sower.plant(Module::Calls, call, deal.owner, days_ago + 1, "crm_ui");
}

fn task(sower: &mut Sower, deal: Planted) {
    let mut task = about(sower, deal);
    task.set("Subject", Cell::text("Send the revised offer"));
    task.set("Due_Date", Cell::Day(sower.day(2)));
    task.set("Status", Cell::text("In Progress"));
    task.set("Priority", Cell::text("High"));
    task.set("Send_Notification_Email", Cell::Flag(false));
    sower.plant(Module::Tasks, task, deal.owner, 3, "crm_ui");
}

const NOTES: &[(&str, &str, i64)] = &[
    (
        "After the call",
        "Pleased with the balances, finds the service contract too dear. Wants an offer for two \
         years instead of three, by Friday.",
        3,
    ),
    (
        "Visit",
        "Showed us the new laboratory: room for four more balances next year. A competitor was \
         there last week.",
        12,
    ),
];

const CALLS: &[(&str, &str, i64)] = &[
    ("Price of the service contract", "14:20", 4),
    ("Renewal is due", "06:45", 31),
];
