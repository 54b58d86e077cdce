//! A network namespace whose kernel has settings of its own. It needs root.

use std::process::{Command, Stdio};

use forebay::{ByteReadChannel, Result};
use forebay_testing::{Child, role, say, skip, watched};

/// Runs a test in a process of its own, in a namespace with these settings (paths below `/proc/sys/net`).
pub(crate) fn in_a_namespace(name: &'static str, settings: &[(&str, &str)], test: impl FnOnce()) {
    if role().is_some() {
        test();
        return say("done");
    }
    let set = |(path, value): &(&str, &str)| format!("echo {value} > /proc/sys/net/{path}");
    let mut prepare = vec!["ip link set lo up".to_owned()];
    prepare.extend(settings.iter().map(set));
    let prepare = prepare.join(" && ");
    let mut trial = Command::new("unshare");
    trial.args(["--net", "sh", "-c", &prepare]).stdout(Stdio::null()).stderr(Stdio::null());
    if !trial.status().is_ok_and(|status| status.success()) {
        return skip(name, "no network namespace with these settings to be had");
    }
    let program = format!("{prepare} && exec \"$@\"");
    watched(move || {
        let wrapper = ["unshare", "--net", "sh", "-c", &program, "sh"];
        let mut child = Child::start_under(&wrapper, name, "inside");
        assert_eq!(child.hear().as_deref(), Some("done"));
        child.end();
    });
}

/// Reads everything up to the end.
pub(crate) async fn read_to_end(input: &mut ByteReadChannel) -> Result<Vec<u8>> {
    let (mut all, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match input.read(&mut part).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}
