//! What a user sees and may change: their own records and those of the people who report to them,
//! what the module's default and the sharing rules add, and all fields but the hidden ones.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    cell::Id,
    crm::{Crm, Record},
    filter::{Filter, Path},
    org::User,
    schema::Module,
    settings::{HiddenWrites, Settings, Share},
};

/// The rights of one user at one moment. An administrator has all of them.
pub(super) struct Sight {
    owners: Option<HashSet<Id>>,
    shares: BTreeMap<Module, Share>,
    /// Module, owner, and whether changes are allowed.
    rules: Vec<(Module, Id, bool)>,
    hidden: BTreeSet<(Module, &'static str)>,
    hidden_writes: HiddenWrites,
}

impl Sight {
    /// What that user sees.
    pub(super) fn of(crm: &Crm, user: &User, settings: &Settings) -> Self {
        if user.administrator {
            return Self {
                owners: None,
                shares: BTreeMap::new(),
                rules: Vec::new(),
                hidden: BTreeSet::new(),
                hidden_writes: settings.hidden_writes,
            };
        }
        let shares = settings.sharing.iter();
        let by_address = |address: &str| crm.users.iter().find(|user| user.email == address);
        let rules = settings
            .sharing_rules
            .iter()
            .filter(|rule| rule.to == user.email);
        let hidden = settings.hidden_fields.iter().filter_map(|name| {
            let (module, field) = name.split_once('.')?;
            let module = Module::parse(module)?;
            Some((module, module.field(field)?.name))
        });
        Self {
            owners: Some(team(crm, user)),
            shares: shares
                .filter_map(|(module, share)| Some((Module::parse(module)?, *share)))
                .collect(),
            rules: rules
                .filter_map(|rule| {
                    let from = by_address(&rule.from)?.id;
                    Some((Module::parse(&rule.module)?, from, rule.write))
                })
                .collect(),
            hidden: hidden.collect(),
            hidden_writes: settings.hidden_writes,
        }
    }

    /// Whether that record is among what is seen. A note is seen with the record it stands below.
    pub(super) fn sees(&self, crm: &Crm, module: Module, record: &Record) -> bool {
        self.may(crm, module, record, false)
    }

    /// Whether that record may be changed.
    pub(super) fn changes(&self, crm: &Crm, module: Module, record: &Record) -> bool {
        self.may(crm, module, record, true)
    }

    /// Whether a field is not shown.
    pub(super) fn hides(&self, module: Module, field: &str) -> bool {
        self.hidden
            .iter()
            .any(|(hidden, name)| *hidden == module && *name == field)
    }

    /// Whether a value for a field that is not shown is refused, and not passed over.
    pub(super) fn refuses_hidden(&self) -> bool {
        self.hidden_writes == HiddenWrites::Refused
    }

    /// The first field of those that is not shown; what a path is followed through counts too.
    pub(super) fn hidden_in<'a>(
        &self,
        module: Module,
        mut paths: impl Iterator<Item = &'a Path>,
    ) -> Option<&'static str> {
        if self.hidden.is_empty() {
            return None;
        }
        paths.find_map(|path| {
            let mut at = Some(module);
            for hop in &path.through {
                if at.is_some_and(|at| self.hides(at, hop.field.name)) {
                    return Some(hop.field.name);
                }
                at = hop.only.or(hop.field.target());
            }
            at.filter(|at| self.hides(*at, path.field.name))
                .map(|_| path.field.name)
        })
    }

    fn may(&self, crm: &Crm, module: Module, record: &Record, change: bool) -> bool {
        let Some(owners) = &self.owners else {
            return true;
        };
        if module == Module::Users {
            return !change;
        }
        let parent = record.points_at("Parent_Id").and_then(|id| crm.find(id));
        let (module, record) = match (module, parent) {
            (Module::Notes, Some(parent)) if !change => parent,
            _ => (module, record),
        };
        let owner = record.points_at("Owner");
        let shared = match self.shares.get(&module) {
            Some(Share::PublicReadWrite) => true,
            Some(Share::PublicReadOnly) => !change,
            Some(Share::Private) | None => false,
        };
        shared
            || owner.is_some_and(|owner| {
                let rule = |(of, from, write): &(Module, Id, bool)| {
                    *of == module && *from == owner && (*write || !change)
                };
                owners.contains(&owner) || self.rules.iter().any(rule)
            })
    }
}

impl Filter {
    /// The fields that it looks at.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Is(test) => vec![&test.path],
        }
    }
}

fn team(crm: &Crm, user: &User) -> HashSet<Id> {
    let mut owners = HashSet::from([user.id]);
    // Each round adds one level of the tree, so it ends after as many rounds as there are levels.
    loop {
        let below = |u: &&User| {
            u.reports_to.is_some_and(|to| owners.contains(&to)) && !owners.contains(&u.id)
        };
        let found: Vec<Id> = crm.users.iter().filter(below).map(|u| u.id).collect();
        if found.is_empty() {
            return owners;
        }
        owners.extend(found);
    }
}
