//! The users of a selector: it is open for as long as there are any.

use std::any::Any;
use std::sync::Arc;

use super::shared::Shared;

/// The state that all clones of a [`SelectorManager`](crate::SelectorManager) share; dropping the last one
/// closes the selector.
pub(super) struct Users {
    shared: Arc<Shared>,
}

impl Users {
    /// Makes the first user of a new selector.
    pub(super) fn first_of(shared: Arc<Shared>) -> Arc<Self> {
        let users = Arc::new(Self { shared });
        let known = Arc::clone(&users) as Arc<dyn Any + Send + Sync>;
        users.shared.set_users(Arc::downgrade(&known));
        users
    }

    /// Returns one more user. If there are none left, the selector is closed, or is being closed by the
    /// last one's drop; then the result neither opens it again nor closes it once more.
    pub(super) fn of(shared: &Arc<Shared>) -> Arc<Self> {
        let users = shared.users().and_then(|users| Arc::downcast(users).ok());
        users.unwrap_or_else(|| Arc::new(Self { shared: Arc::clone(shared) }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        // Idempotent.
        self.shared.close_in_background();
    }
}
