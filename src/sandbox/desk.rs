//! All state of a running sandbox, and the one place where a request meets it.

use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use jiff::{Timestamp, civil::Date};
use serde_json::Value;

use super::{
    answer::Answer,
    cell::Id,
    clock::Clock,
    coql,
    crm::Crm,
    cursor::Cursors,
    fault::Faults,
    journal::Journal,
    ledger::Ledger,
    problem::Problem,
    query::Query,
    read::Reader,
    route::{Asks, Route},
    schema::Module,
    scope, seed,
    settings::Settings,
    sight::Sight,
    token::{Rules, Tokens},
    view,
    write::Writer,
};

/// The state. No lock is held over an await, for nothing here is async.
pub(super) struct Desk {
    pub(super) url: String,
    pub(super) clock: Clock,
    pub(super) ledger: Arc<Ledger>,
    pub(super) cursors: Cursors,
    pub(super) today: Date,
    pub(super) start_offset_ms: i64,
    start_settings: Settings,
    settings: ArcSwap<Settings>,
    crm: RwLock<Crm>,
    tokens: Mutex<Tokens>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
}

/// A request below `/crm/v8` whose caller is known.
pub(super) struct Asked<'a> {
    pub(super) user: Id,
    /// What its token is good for, where it is not what the refresh tokens were granted.
    pub(super) scope: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Query,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl Desk {
    /// A desk over fresh seed data.
    pub(super) fn new(
        url: String,
        clock: Clock,
        settings: Settings,
        tokens: Tokens,
        cursors: Cursors,
        crm: Crm,
        today: Date,
    ) -> Self {
        let desk = Self {
            url,
            start_offset_ms: clock.offset_ms(),
            clock,
            ledger: Arc::default(),
            start_settings: settings.clone(),
            settings: ArcSwap::default(),
            cursors,
            today,
            crm: RwLock::new(crm),
            tokens: Mutex::new(tokens),
            faults: Mutex::new(Faults::new()),
            journal: Mutex::default(),
        };
        desk.set(settings);
        desk
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts settings into force, for what comes after.
    pub(super) fn set(&self, settings: Settings) {
        self.ledger
            .limit(settings.daily_credits, settings.concurrency);
        self.tokens().rule(Rules {
            error_status: settings.token_error_status,
            denied_status: settings.token_denied_status,
            most_live: settings.live_tokens,
            scope: settings.scopes.clone(),
            names_scope: settings.token_scope,
            legacy_expiry: settings.legacy_expiry,
            client_credentials: settings.client_credentials,
        });
        let mut crm = self.crm.write().unwrap_or_else(PoisonError::into_inner);
        crm.arrange(settings.stages);
        drop(crm);
        self.settings.store(Arc::new(settings));
    }

    /// Answers a request of the CRM.
    pub(super) fn answer(&self, route: &Route, asked: &Asked<'_>) -> Answer {
        let mut settings = self.settings();
        if let Some(scope) = asked.scope {
            scope.clone_into(&mut Arc::make_mut(&mut settings).scopes);
        }
        let answered = scope::check(route, &settings.scopes).and_then(|()| match route {
            Route::Insert(module) => {
                self.write(asked, |writer| writer.insert(*module, None, asked.body))
            }
            Route::InsertNote(module, id) => self.write(asked, |writer| {
                writer.insert(Module::Notes, Some((*module, *id)), asked.body)
            }),
            Route::NoteBelow(module, id, note, asks) => self.write(asked, |writer| {
                writer.is_below(*module, *id, *note)?;
                match asks {
                    Asks::Change => writer.update(Module::Notes, Some(*note), asked.body),
                    Asks::Removal => writer.delete(Module::Notes, Some(*note), None),
                }
            }),
            Route::Update(module, id) => {
                self.write(asked, |writer| writer.update(*module, *id, asked.body))
            }
            Route::Upsert(module) => self.write(asked, |writer| writer.upsert(*module, asked.body)),
            Route::Delete(module, id) => self.write(asked, |writer| {
                writer.delete(*module, *id, asked.query.get("ids"))
            }),
            Route::Lock(module, id) => {
                self.write(asked, |writer| writer.lock(*module, *id, asked.body))
            }
            Route::Relock(module, id, lock) => self.write(asked, |writer| {
                writer.relock(*module, *id, *lock, asked.body)
            }),
            Route::Unlock(module, id, lock) => {
                self.write(asked, |writer| writer.unlock(*module, *id, *lock))
            }
            read => self.read(read, asked, &settings),
        });
        answered.unwrap_or_else(|problem| Answer::refused(&problem, settings.wraps(route.wraps())))
    }

    /// Everything as at the start: data, clock, settings, tokens, credits, faults, journal.
    pub(super) fn reset(&self) {
        *self.crm.write().unwrap_or_else(PoisonError::into_inner) = seed::sow(self.today);
        self.clock.set_offset_ms(self.start_offset_ms);
        self.set(self.start_settings.clone());
        self.tokens().reset();
        self.ledger.reset();
        self.faults().clear();
        self.journal().clear();
    }

    pub(super) fn crm(&self) -> RwLockReadGuard<'_, Crm> {
        self.crm.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        asked: &Asked<'_>,
        write: impl FnOnce(&mut Writer<'_>) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let settings = self.settings();
        let mut crm = self.crm.write().unwrap_or_else(PoisonError::into_inner);
        let sight = crm
            .user(asked.user)
            .map(|user| Sight::of(&crm, user, &settings))
            .ok_or_else(Problem::invalid_token)?;
        write(&mut Writer {
            crm: &mut crm,
            user: asked.user,
            sight,
            unique_email: settings.unique_email,
            now: asked.now,
            unmodified_since: asked.unmodified_since,
        })
    }

    fn read(
        &self,
        route: &Route,
        asked: &Asked<'_>,
        settings: &Settings,
    ) -> Result<Answer, Problem> {
        let crm = self.crm();
        let user = crm.user(asked.user).ok_or_else(Problem::invalid_token)?;
        let reader = Reader {
            crm: &crm,
            user,
            sight: Sight::of(&crm, user, settings),
            settings,
            query: &asked.query,
            path: asked.path,
            cursors: &self.cursors,
            now: asked.now,
            modified_since: asked.modified_since,
        };
        match route {
            Route::OneOf(list, id) => {
                let listed = self.read(list, asked, settings)?;
                Ok(view::only(listed, *id))
            }
            Route::Search(module) => reader.search(*module),
            Route::Count(module) => reader.count(*module),
            Route::List(module) => reader.list(*module),
            Route::One(module, id) => reader.one(*module, *id),
            Route::Locks(module, id) => reader.locks(*module, *id),
            Route::OneRelated(module, id, list, one) => {
                reader.one_related((*module, *id), list, *one)
            }
            Route::OneLock(module, id, lock) => reader.one_lock(*module, *id, *lock),
            Route::Related(module, id, list) => reader.related(*module, *id, list),
            Route::Timeline(module, id) => reader.timeline(*module, *id),
            Route::Users => reader.users(),
            Route::User(id) => Ok(reader.one_user(*id)),
            Route::Org => Ok(reader.org()),
            Route::Pipeline => reader.pipeline(),
            Route::Layouts => reader.layouts(),
            Route::Modules => reader.modules(),
            Route::OneModule(name) => reader.one_module(name),
            Route::Fields => reader.fields_of(),
            Route::CustomViews => reader.custom_views(),
            Route::RelatedLists => reader.related_lists(),
            Route::RelatedCounts(module, id) => reader.related_counts(*module, *id, asked.body),
            Route::Deleted(module) => reader.deleted(*module),
            Route::CountUsers => reader.count_users(),
            Route::Coql => {
                let body: Value =
                    serde_json::from_slice(asked.body).map_err(|_| Problem::bad_body())?;
                coql::answer(&reader.painter(), &reader.sight, settings, &body)
            }
            _ => Err(Problem::wrong_method()),
        }
    }
}
