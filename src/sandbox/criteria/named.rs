//! Records that a criterion names, where a lookup is held against what it shows.

use crate::sandbox::{
    cell::{Cell, fold},
    crm::Crm,
    filter::{Op, Test},
    schema::{Field, Kind, Module},
};

/// Whether a field points at records, which may be meant by their names.
pub(super) const fn is_named(field: &Field) -> bool {
    matches!(field.kind, Kind::Lookup(_) | Kind::AnyLookup)
}

/// Puts the ids of all records of a name in its place; that may be none.
pub(super) fn resolve(crm: &Crm, test: &mut Test) {
    if !is_named(test.path.field) {
        return;
    }
    let only = test.path.field.target();
    let modules: &[Module] = only.as_ref().map_or(&Module::ROUTED, std::slice::from_ref);
    // A count may ask for the beginning of a name.
    let begins = test.op == Op::StartsWith;
    if begins {
        test.op = Op::In;
    }
    let named = |name: &str| -> Vec<Cell> {
        let name = fold(name);
        let records = modules
            .iter()
            .flat_map(|module| crm.table(*module).values().map(|record| (*module, record)));
        let named = records.filter(|(module, record)| {
            let title = record.text(module.title());
            title.map(fold).is_some_and(|title| match begins {
                true => title.starts_with(&name),
                false => title == name,
            })
        });
        named.map(|(_, record)| Cell::Ref(record.id)).collect()
    };
    let operands = std::mem::take(&mut test.operands);
    test.operands = operands
        .into_iter()
        .flat_map(|operand| match operand.as_text() {
            Some(name) => named(name),
            None => vec![operand],
        })
        .collect();
}
