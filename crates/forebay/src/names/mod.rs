//! Look-ups of names: by the system, or by a resolver of the program's.
//!
//! A look-up belongs to all calls that ask for its name while it runs, and is polled by any of them: it has no
//! task. When the last of them leaves, it is dropped. Only a call of the system's resolver that has begun cannot
//! be taken back; it stays in the table until it ends, so that the next call for the name joins it and does not
//! occupy another thread.

mod look_up;
mod resolver;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use self::look_up::LookUpTable;
pub(crate) use self::look_up::LookingUp;
pub(crate) use self::resolver::AnyResolver;
pub use self::resolver::{FoundAddresses, Resolver};
use self::system::SystemLookUps;
use crate::task::BlockingPool;

/// The look-ups of a selector.
pub(crate) struct LookUps {
    system: SystemLookUps,
    resolver: Option<ByResolver>,
}

/// A resolver of the program's, and the look-ups that it makes.
struct ByResolver {
    resolver: Arc<dyn AnyResolver>,
    table: Arc<LookUpTable>,
}

impl LookUps {
    pub(crate) fn new(pool: Arc<BlockingPool>, resolver: Option<Arc<dyn AnyResolver>>) -> Self {
        let by = |resolver| ByResolver { resolver, table: Arc::default() };
        Self { system: SystemLookUps::new(pool), resolver: resolver.map(by) }
    }

    /// Begins to look up a name, or joins the look-up of it that is in flight. Nothing happens until it is
    /// polled.
    pub(crate) fn look_up(&self, name: &str) -> LookingUp {
        match &self.resolver {
            None => self.system.look_up(name),
            Some(ByResolver { resolver, table }) => table.join(name, |look_up| {
                let found = FoundAddresses::new(look_up, self.system.clone());
                Arc::clone(resolver).resolve_name(name.into(), found)
            }),
        }
    }
}

impl fmt::Debug for LookUps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_resolver = self.resolver.is_some();
        f.debug_struct("LookUps").field("has_resolver", &has_resolver).finish_non_exhaustive()
    }
}
