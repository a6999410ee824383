//! An activity that is added to a record: a task, a call.

use std::marker::PhantomData;

use jiff::Timestamp;

use super::{
    Context, Tool, ToolError,
    made::RECORD,
    once::{Looked, Once, Receipt},
};
use crate::zoho::{RecordId, Values, notes::NoteParent};

/// The activity that a call of the tool `T` is to add.
pub(super) struct Activity<T> {
    module: &'static str,
    about: (NoteParent, RecordId),
    fields: Values,
    arguments: [u8; 32],
    tool: PhantomData<fn(T)>,
}

impl<T: Tool> Activity<T> {
    pub(super) fn new(
        module: &'static str,
        about: (NoteParent, RecordId),
        fields: Values,
        arguments: [u8; 32],
    ) -> Self {
        Self {
            module,
            about,
            fields,
            arguments,
            tool: PhantomData,
        }
    }
}

impl<T: Tool> Once for Activity<T> {
    const TOOL: &'static str = T::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("Who_Id", RECORD),
        ("What_Id", RECORD),
        ("Subject", "subject"),
        ("Due_Date", "due_date"),
        ("Priority", "priority"),
        ("Call_Type", "direction"),
        ("Call_Start_Time", "start_time"),
        ("Call_Duration", "duration_minutes"),
        ("Call_Result", "result"),
        (DESCRIPTION, "description"),
    ];
    const CREATES: bool = true;

    fn arguments(&self) -> [u8; 32] {
        self.arguments
    }

    async fn write(&self, call: &Context<'_>, _: Option<Timestamp>) -> Result<Receipt, ToolError> {
        let about = (self.about.0, &self.about.1);
        let added = call.crm.add_activity(self.module, about, &self.fields);
        Ok(Receipt::created(added.await?))
    }

    async fn not_kept(&self, call: &Context<'_>, made: &RecordId) -> Option<Vec<&'static str>> {
        let (parent, id) = &self.about;
        let fields = self.fields.clone().about(*parent, id);
        call.crm.not_kept(self.module, made, &fields).await
    }

    async fn look(&self, call: &Context<'_>, since: Timestamp) -> Result<Looked, ToolError> {
        let (parent, id) = &self.about;
        let fields = self.fields.clone().about(*parent, id);
        let key = match parent {
            NoteParent::Contacts => "Who_Id",
            _ => "What_Id",
        };
        let mut found = call.crm.added(self.module, &fields, key, since).await?;
        if found.these.is_empty() && !found.or_another {
            // Zoho may have passed over the link, even one that was kept before.
            let loose = fields.without(key);
            let loose = call.crm.added(self.module, &loose, key, since).await?;
            found.or_another = !loose.these.is_empty() || loose.or_another;
        }
        Ok(found.into())
    }
}

pub(super) const DESCRIPTION: &str = "Description";
