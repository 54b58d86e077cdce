//! A program that asks for no signal is ended by it, as the system has it.

#![cfg(target_os = "linux")]

use forebay::{Result, SelectorManager, SignalKind};
use forebay_testing::{Child, role, run, say, watched};
use rustix::process::Signal;

use crate::support::raise;

/// A shell ignores `SIGINT` for what it runs in the background, and programs inherit that.
const BY_DEFAULT: [&str; 2] = ["env", "--default-signal=INT"];

/// Raises the signal that its role names, once it has asked for another one, or for this one.
async fn raises(selector: SelectorManager, role: &str) -> Result<()> {
    let _others = selector.signal(SignalKind::User1)?;
    match role {
        "asks" => drop(selector.ctrl_c()),
        "has asked" => {
            let other = SelectorManager::new();
            drop(other.ctrl_c());
            other.close().await;
        }
        "asks for it among others" => drop(selector.signal(SignalKind::Interrupt)?),
        _ => {}
    }
    raise(Signal::INT);
    say("it goes on");
    Ok(())
}

#[test]
fn ctrl_c_ends_a_program_that_does_not_ask_for_it() {
    const NAME: &str = "ctrl_c_ends_a_program_that_does_not_ask_for_it";
    if let Some(role) = role() {
        return run(async move |selector| raises(selector, &role).await);
    }
    watched(|| {
        let mut child = Child::start_under(&BY_DEFAULT, NAME, "asks for another one");
        assert_eq!(child.hear(), None);
        assert_eq!(child.killed_by(), Some(Signal::INT.as_raw()));
        for role in ["asks", "has asked", "asks for it among others"] {
            let mut child = Child::start_under(&BY_DEFAULT, NAME, role);
            assert_eq!(child.hear().as_deref(), Some("it goes on"), "a program that {role}");
            child.end();
        }
    });
}
