//! A subscriber that remembers everything of the library.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use forebay_testing::lock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

/// The fields of a span or an event, as text.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// A span of the library.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenSpan {
    pub(crate) fields: Fields,
    /// The events in it; each with its level as `level`.
    pub(crate) events: Vec<Fields>,
    /// The number of its handles; none once it is over.
    pub(crate) handles: u32,
}

#[derive(Debug, Default)]
struct Seen {
    spans: BTreeMap<u64, SeenSpan>,
    /// The events outside of spans.
    events: Vec<Fields>,
    /// The spans that this process's threads have entered, the latest last.
    entered: Vec<u64>,
}

fn seen() -> &'static Mutex<Seen> {
    static SEEN: OnceLock<Mutex<Seen>> = OnceLock::new();
    SEEN.get_or_init(Mutex::default)
}

/// Becomes this process's subscriber. Each test that calls this is alone in its process.
pub(crate) fn record_all() {
    subscriber::set_global_default(Recorder::default()).unwrap();
}

/// Returns the spans so far.
pub(crate) fn spans() -> Vec<SeenSpan> {
    lock(seen()).spans.values().cloned().collect()
}

/// Returns the events outside of spans so far.
pub(crate) fn events() -> Vec<Fields> {
    lock(seen()).events.clone()
}

#[derive(Default)]
struct Recorder {
    last_id: AtomicU64,
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "forebay" || metadata.target().starts_with("tracing::")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert_eq!(span.metadata().name(), "connection");
        let mut fields = Fields::new();
        span.record(&mut IntoText(&mut fields));
        fields.insert("level", span.metadata().level().to_string());
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        lock(seen()).spans.insert(id, SeenSpan { fields, events: Vec::new(), handles: 1 });
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::new();
        values.record(&mut IntoText(&mut fields));
        lock(seen()).spans.entry(span.into_u64()).or_default().fields.extend(fields);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut IntoText(&mut fields));
        fields.insert("level", event.metadata().level().to_string());
        let mut seen = lock(seen());
        let parent = event.parent().map(Id::into_u64);
        let current = event.is_contextual().then(|| seen.entered.last().copied()).flatten();
        match parent.or(current) {
            Some(span) => seen.spans.entry(span).or_default().events.push(fields),
            None => seen.events.push(fields),
        }
    }

    fn enter(&self, span: &Id) {
        lock(seen()).entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        lock(seen()).entered.retain(|entered| *entered != span.into_u64());
    }

    fn try_close(&self, span: Id) -> bool {
        let mut seen = lock(seen());
        let span = seen.spans.entry(span.into_u64()).or_default();
        span.handles -= 1;
        span.handles == 0
    }

    fn clone_span(&self, id: &Id) -> Id {
        lock(seen()).spans.entry(id.into_u64()).or_default().handles += 1;
        id.clone()
    }
}

struct IntoText<'a>(&'a mut Fields);

impl Visit for IntoText<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
