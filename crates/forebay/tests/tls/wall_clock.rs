//! The wall clock decides whether a certificate is valid, and nothing else. The process whose
//! clock is wrong is one of its own, under `faketime`.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use forebay::{Identity, Result, SelectorManager, Socket, TlsConfig, TlsFault, Trust};
use forebay_testing::{
    Child, report, role, say, skip,
    tls::{Authority, LOCAL, server_params, write},
    unix::Directory,
    watched,
};
use futures_lite::future::zip;
use rcgen::KeyPair;

const NAME: &str = "a_wall_clock_that_is_wrong_ends_certificates_and_no_sleep";
const DAY: Duration = Duration::from_secs(24 * 3600);
const SLEEP: Duration = Duration::from_millis(50);
/// A sleep that takes longer follows the wrong clock.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Issues a certificate for the 90 days from yesterday on.
fn place() -> Directory {
    let (directory, authority) = (Directory::new(), Authority::new());
    let mut params = server_params(LOCAL);
    let yesterday = SystemTime::now() - DAY;
    params.not_before = yesterday.into();
    params.not_after = (yesterday + 90 * DAY).into();
    let issued = authority.issue(&KeyPair::generate().unwrap(), &params);
    write(&directory, "server.pem", &issued.pem());
    write(&directory, "roots.pem", &authority.pem());
    directory
}

async fn connect(selector: &SelectorManager, directory: PathBuf) -> Result<Socket> {
    let read = |name| fs::read(directory.join(name)).unwrap();
    let server = TlsConfig::server(Identity::from_pem(read("server.pem"))?).build()?;
    let client = TlsConfig::client().trust(Trust::roots_pem(read("roots.pem"))?).build()?;
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
    let accepting = async { server.accept().await?.handshake().await };
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        plain.tls(&client).await
    };
    let (client, accepted) = zip(connecting, accepting).await;
    let client = client?;
    accepted.map(|_| client)
}

/// The child: says the day it is for it, what becomes of a handshake, and how long a sleep takes on each worker.
fn live(role: &str) {
    let (workers, directory) = role.split_once(' ').unwrap();
    let workers = workers.parse().unwrap();
    let selector = SelectorManager::builder().workers(workers).build().unwrap();
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    say(&(today.as_secs() / DAY.as_secs()).to_string());
    match selector.block_on(connect(&selector, directory.into())) {
        Ok(_) => say("accepted"),
        Err(error) => say(&format!("{:?}: {error}", error.tls_fault().unwrap())),
    }
    let since = Instant::now();
    selector.block_on(async {
        let sleeps = (0..workers).map(|_| {
            let inner = selector.clone();
            selector.spawn_value(async move { inner.sleep(SLEEP).await })
        });
        for sleep in sleeps.collect::<Vec<_>>() {
            sleep.await.unwrap();
        }
    });
    let took = since.elapsed();
    assert!((SLEEP..SLEEP_MAX).contains(&took), "slept for {took:?}");
    say(&took.as_micros().to_string());
}

#[test]
fn a_wall_clock_that_is_wrong_ends_certificates_and_no_sleep() {
    if let Some(role) = role() {
        return live(&role);
    }
    if !Child::can_trace(&["faketime", "-f", "+1d"]) {
        return skip(NAME, "faketime cannot run anything here");
    }
    for workers in [1, 2, 4] {
        watched(move || on(workers));
    }
}

fn on(workers: u16) {
    let directory = place();
    let role = format!("{workers} {}", directory.path().to_str().unwrap());
    let fault = |fault: TlsFault| format!("{fault:?}: ");
    let mut today: u64 = 0;
    for (days, expected) in [
        (0, "accepted".to_owned()),
        (400, fault(TlsFault::Expired)),
        (-400, fault(TlsFault::NotYetValid)),
    ] {
        let shift = format!("{days:+}d");
        let faketime = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-m", "-f", &shift];
        let wrapper = if days == 0 { &[][..] } else { &faketime };
        let mut child = Child::start_under(wrapper, NAME, &role);
        let day: u64 = child.hear_number();
        if days == 0 {
            today = day;
        }
        // Of the two days that midnight may lie between, either.
        let shifted = today.checked_add_signed(days).unwrap();
        assert!([shifted, shifted + 1].contains(&day), "{day} on {today}: no wrong clock");
        let told = child.hear().expect("the child has failed");
        assert!(told.starts_with(&expected), "{days} days: {told}");
        let slept = Duration::from_micros(child.hear_number());
        child.end();
        report(&format!(
            "{NAME}: {workers} workers, {days:+} days: {told}; a sleep of {SLEEP:?} took {slept:.1?}"
        ));
    }
}
