//! The data that a fresh sandbox holds: an invented maker of instruments, told relative to today.

mod activity;
mod cases;
mod odd;
mod sales;
pub(super) mod staff;
mod story;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{
    cell::{Cell, Id},
    crm::{Crm, Happening, Record},
    dice::Dice,
    picklist,
    schema::Module,
    words,
};

/// A CRM as it would look on that day, the same for every sandbox that starts on it.
pub(super) fn sow(today: Date) -> Crm {
    let zone = staff::zone(staff::ORG_ZONE);
    let (org, users) = staff::company(today);
    let mut sower = Sower {
        crm: Crm::new(org, users),
        dice: Dice::new(SEED),
        today,
        zone,
        accounts: Vec::new(),
        contacts: Vec::new(),
    };
    sower.accounts();
    sower.contacts();
    sower.leads();
    sales::sow(&mut sower);
    activity::sow(&mut sower);
    odd::sow(&mut sower);
    story::sow(&mut sower);
    cases::sow(&mut sower);
    sower.crm
}

/// A record with the user who owns it and the account it belongs to.
#[derive(Clone, Copy)]
struct Planted {
    id: Id,
    owner: Id,
    account: Option<Id>,
}

struct Sower {
    crm: Crm,
    dice: Dice,
    today: Date,
    zone: TimeZone,
    accounts: Vec<Planted>,
    contacts: Vec<Planted>,
}

impl Sower {
    fn accounts(&mut self) {
        for at in 0..ACCOUNTS {
            let head = words::COMPANY_HEADS
                .get(at % words::COMPANY_HEADS.len())
                .unwrap_or(&"");
            let tail = (at * 7 + at / words::COMPANY_HEADS.len()) % words::COMPANY_TAILS.len();
            let name = format!("{head} {}", words::COMPANY_TAILS.get(tail).unwrap_or(&""));
            let mut account = self.blank();
            let owner = self.rep();
            let [city, state, zip, country] = self.place();
            account.set("Account_Name", Cell::text(name.as_str()));
            account.set(
                "Website",
                Cell::text(format!("https://{}.example", slug(&name))),
            );
            account.set("Account_Type", self.choice(picklist::ACCOUNT_TYPE));
            account.set("Industry", self.choice(picklist::INDUSTRY));
            account.set("Rating", self.choice(picklist::RATING));
            account.set(
                "Annual_Revenue",
                Cell::Number((self.dice.between(8, 900) * 100_000) as f64),
            );
            account.set("Employees", Cell::Int(self.dice.between(12, 4_800)));
            account.set("Phone", self.phone());
            account.set("Billing_Street", self.street());
            account.set("Billing_City", Cell::text(city));
            account.set("Billing_State", filled(state));
            account.set("Billing_Code", Cell::text(zip));
            account.set("Billing_Country", Cell::text(country));
            let days = self.dice.between(200, 900);
            let id = self.plant(Module::Accounts, account, owner, days, "import");
            self.accounts.push(Planted {
                id,
                owner,
                account: Some(id),
            });
        }
    }

    fn contacts(&mut self) {
        for at in 0..CONTACTS {
            let Some(home) = self.accounts.get(at % ACCOUNTS).copied() else {
                continue;
            };
            let (first, last) = (
                self.dice.word(words::FIRST_NAMES),
                self.dice.word(words::LAST_NAMES),
            );
            // Most contacts belong to whoever owns the account.
            let owner = if self.dice.chance(80) {
                home.owner
            } else {
                self.rep()
            };
            let mut contact = self.person(first, last, home.id);
            contact.set("Salutation", self.choice(picklist::SALUTATION));
            contact.set("Title", self.choice(words::TITLES));
            contact.set("Department", self.choice(words::DEPARTMENTS));
            contact.set("Lead_Source", self.choice(picklist::LEAD_SOURCE));
            contact.set("Account_Name", Cell::Ref(home.id));
            let [city, state, zip, country] = self.place();
            contact.set("Mailing_Street", self.street());
            contact.set("Mailing_City", Cell::text(city));
            contact.set("Mailing_State", filled(state));
            contact.set("Mailing_Zip", Cell::text(zip));
            contact.set("Mailing_Country", Cell::text(country));
            contact.set("Email_Opt_Out", Cell::Flag(self.dice.chance(5)));
            let days = if at % 9 == 0 {
                self.dice.between(1, 60)
            } else {
                self.dice.between(60, 700)
            };
            let id = self.plant(Module::Contacts, contact, owner, days, "crm_ui");
            self.contacts.push(Planted {
                id,
                owner,
                account: Some(home.id),
            });
        }
    }

    fn leads(&mut self) {
        for _ in 0..LEADS {
            let (first, last) = (
                self.dice.word(words::FIRST_NAMES),
                self.dice.word(words::LAST_NAMES),
            );
            let company = format!(
                "{} {}",
                self.dice.word(words::COMPANY_HEADS),
                self.dice.word(words::COMPANY_TAILS)
            );
            let mut lead = self.blank();
            lead.set("First_Name", Cell::text(first));
            lead.set("Last_Name", Cell::text(last));
            lead.set("Salutation", self.choice(picklist::SALUTATION));
            lead.set(
                "Email",
                Cell::text(format!(
                    "{}.{}@{}.example",
                    slug(first),
                    slug(last),
                    slug(&company)
                )),
            );
            lead.set("Company", Cell::text(company));
            lead.set("Designation", self.choice(words::TITLES));
            lead.set("Phone", self.phone());
            lead.set("Lead_Source", self.choice(picklist::LEAD_SOURCE));
            lead.set("Lead_Status", self.choice(picklist::LEAD_STATUS));
            lead.set("Industry", self.choice(picklist::INDUSTRY));
            let [city, state, zip, country] = self.place();
            lead.set("City", Cell::text(city));
            lead.set("State", filled(state));
            lead.set("Zip_Code", Cell::text(zip));
            lead.set("Country", Cell::text(country));
            let (owner, days) = (self.rep(), self.dice.between(1, 200));
            self.plant(Module::Leads, lead, owner, days, "webform");
        }
    }

    /// A contact's name and ways to reach them, with an address at their account's domain.
    fn person(&mut self, first: &str, last: &str, account: Id) -> Record {
        let mut contact = self.blank();
        let company = self
            .crm
            .get(Module::Accounts, account)
            .and_then(|a| a.text("Account_Name"));
        let domain = slug(company.unwrap_or("home"));
        // The id's last digits keep two people of one name and account apart.
        let number = contact.id.0 % 1_000;
        contact.set("First_Name", Cell::text(first));
        contact.set("Last_Name", Cell::text(last));
        contact.set(
            "Email",
            Cell::text(format!(
                "{}.{}{number}@{domain}.example",
                slug(first),
                slug(last)
            )),
        );
        contact.set("Phone", self.phone());
        contact.set("Mobile", self.dice.chance(60).then(|| self.phone()));
        contact
    }

    fn blank(&mut self) -> Record {
        Record::new(self.crm.next_id())
    }

    /// Adds a record that was created so many days ago, and says so in its timeline.
    fn plant(
        &mut self,
        module: Module,
        mut record: Record,
        owner: Id,
        days_ago: i64,
        source: &'static str,
    ) -> Id {
        let created = self.moment(-days_ago);
        let touched = self.dice.between(1, days_ago.max(1));
        let modified = self.moment(-touched);
        let (id, modified) = (record.id, modified.max(created));
        record.set("Owner", Cell::Ref(owner));
        record.set("Created_By", Cell::Ref(owner));
        record.set("Modified_By", Cell::Ref(owner));
        record.set("Created_Time", Cell::Moment(created));
        record.set("Modified_Time", Cell::Moment(modified));
        record.set("Locked__s", Cell::Flag(false));
        if module != Module::Notes && !module.is_activity() {
            record.set("Last_Activity_Time", Cell::Moment(modified));
        }
        let line = Happening {
            id,
            at: created,
            by: owner,
            action: "added",
            source,
            module,
            record: id,
            changes: Vec::new(),
        };
        let put = self.crm.put(module, record, line);
        debug_assert!(put.is_ok(), "the seed fits");
        id
    }

    /// That day, counted from today.
    fn day(&self, days: i64) -> Date {
        self.today.saturating_add(days.days())
    }

    /// A moment in the working hours of that day.
    fn moment(&mut self, days: i64) -> Timestamp {
        let (hour, minute) = (self.dice.between(8, 17), self.dice.between(0, 59));
        let clock = self.day(days).at(
            i8::try_from(hour).unwrap_or(9),
            i8::try_from(minute).unwrap_or(0),
            17,
            0,
        );
        clock
            .to_zoned(self.zone.clone())
            .map(|at| at.timestamp())
            .unwrap_or_default()
    }

    fn rep(&mut self) -> Id {
        let sellers: Vec<Id> = staff::sellers(&self.crm.users).collect();
        self.dice.one(&sellers).copied().unwrap_or(Id(0))
    }

    fn choice(&mut self, words: &[&str]) -> Cell {
        Cell::text(self.dice.word(words))
    }

    /// A number that is reserved for fiction.
    fn phone(&mut self) -> Cell {
        let area = self
            .dice
            .one(&[212, 312, 412, 503, 608, 612, 919])
            .copied()
            .unwrap_or(212);
        Cell::text(format!("+1 {area} 555 01{:02}", self.dice.below(100)))
    }

    fn street(&mut self) -> Cell {
        Cell::text(format!(
            "{} {}",
            self.dice.between(1, 240),
            self.dice.word(words::STREETS)
        ))
    }

    fn place(&mut self) -> [&'static str; 4] {
        self.dice.one(words::PLACES).copied().unwrap_or_default()
    }
}

/// A text cell, or none for an empty text.
fn filled(text: &str) -> Option<Cell> {
    (!text.is_empty()).then(|| Cell::text(text))
}

/// A name as it stands in an address: letters only, without accents that we cannot spell.
fn slug(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if plain.is_empty() {
        "office".to_owned()
    } else {
        plain
    }
}

const SEED: u64 = 0x5eed_0f7a_110e_3e2e;
const ACCOUNTS: usize = 132;
const CONTACTS: usize = 540;
const LEADS: usize = 90;

#[cfg(test)]
mod tests;
