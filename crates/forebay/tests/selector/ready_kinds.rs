//! `ready` at descriptors of each kind, with one worker and with several: a wait returns at once while the
//! descriptor is ready, and waits while it is not, whatever the system's events are.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, pipe};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{self, Command, Stdio};
use std::sync::Arc;

use forebay::{Interest, Result, SelectorManager};
use forebay_testing::{Child, in_host, role, say, settle, skip, until, watched};
use futures_lite::future::poll_once;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{CWD, OFlags, fcntl_setfl, inotify};
use rustix::io::{Errno, read, write};
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The numbers of workers with which each test runs.
const WORKERS: [u16; 3] = [1, 2, 4];

/// A descriptor, with what makes it ready and what takes that away again.
struct Thing {
    fd: OwnedFd,
    interest: Interest,
    ring: Box<dyn Fn() + Send + Sync>,
    drain: Box<dyn Fn(&OwnedFd) + Send + Sync>,
}

impl Thing {
    fn new(
        fd: impl Into<OwnedFd>,
        ring: impl Fn() + Send + Sync + 'static,
        drain: impl Fn(&OwnedFd) + Send + Sync + 'static,
    ) -> Self {
        let fd = fd.into();
        Self { fd, interest: Interest::READABLE, ring: Box::new(ring), drain: Box::new(drain) }
    }
}

/// Takes everything that can be read.
fn read_all(fd: impl AsFd) {
    fcntl_setfl(&fd, OFlags::NONBLOCK).unwrap();
    loop {
        match read(&fd, &mut [0; 4096]) {
            Ok(0) => panic!("it has ended"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs the scene of a thing on each number of workers, in a few tasks at once, each with its own.
fn on_workers(make: fn() -> Thing) {
    for workers in WORKERS {
        watched(move || {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async {
                let scene = |_| {
                    let of_the_task = selector.clone();
                    selector.spawn(async move { scene(&of_the_task, make()).await })
                };
                let scenes: Vec<_> = (0..2 * workers).map(scene).collect();
                for scene in scenes {
                    scene.await?;
                }
                assert!(selector.worker_stats().iter().all(|worker| worker.watched == 0));
                Result::Ok(())
            })
        })
        .unwrap();
    }
}

async fn scene(selector: &SelectorManager, thing: Thing) -> Result<()> {
    let Thing { fd, interest, ring, drain } = &thing;
    for _ in 0..3 {
        // It is not ready, and stays so.
        let mut wait = Box::pin(selector.ready(fd, *interest));
        assert_eq!(poll_once(&mut wait).await.transpose()?, None);
        settle().await;
        assert_eq!(poll_once(&mut wait).await.transpose()?, None);
        // The one event ends this wait, and each wait after it that begins before it was taken.
        ring();
        assert_eq!(wait.await?, *interest);
        for _ in 0..5 {
            assert_eq!(selector.ready(fd, *interest).await?, *interest);
        }
        drain(fd);
    }
    // Of two waits that are told of an event, the second one comes too late, and goes on waiting. A condition
    // that does not hold is not returned.
    let mut early = Box::pin(selector.ready(fd, *interest | Interest::PRIORITY));
    let mut late = Box::pin(selector.ready(fd, *interest));
    assert_eq!(poll_once(&mut early).await.transpose()?, None);
    assert_eq!(poll_once(&mut late).await.transpose()?, None);
    ring();
    assert_eq!(early.await?, *interest);
    drain(fd);
    settle().await;
    assert_eq!(poll_once(&mut late).await.transpose()?, None);
    ring();
    assert_eq!(late.await?, *interest);
    drain(fd);
    // An event that is taken elsewhere, before the worker has told the wait of it, does not end the wait;
    // the next one does.
    let mut wait = Box::pin(selector.ready(fd, *interest));
    for _ in 0..3 {
        assert_eq!(poll_once(&mut wait).await.transpose()?, None);
        ring();
        drain(fd);
        settle().await;
    }
    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
    ring();
    assert_eq!(wait.await?, *interest);
    Ok(())
}

#[test]
fn a_pipe_that_is_read() {
    on_workers(|| {
        let (reader, writer) = pipe().unwrap();
        Thing::new(reader, move || assert_eq!(write(&writer, b"!"), Ok(1)), |fd| read_all(fd))
    });
}

#[test]
fn a_pipe_that_is_written() {
    fn fill(writer: &OwnedFd) {
        while write(writer, &[0; 4096]).is_ok() {}
    }
    on_workers(|| {
        let (reader, writer) = pipe().unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let writer = OwnedFd::from(writer);
        fill(&writer);
        let mut thing = Thing::new(writer, move || read_all(&reader), fill);
        thing.interest = Interest::WRITABLE;
        thing
    });
}

#[test]
fn a_datagram_socket_of_the_standard_library() {
    on_workers(|| {
        let (here, there) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = here.local_addr().unwrap();
        let send = move || assert_eq!(there.send_to(b"!", address).unwrap(), 1);
        Thing::new(here, send, |fd| read_all(fd))
    });
}

fn timer() -> OwnedFd {
    timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
        .unwrap()
}

/// Makes the timer expire at once, and again and again if it is read.
fn expire(timer: impl AsFd, again: i64) {
    let moment = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let setting = Itimerspec { it_interval: moment(again), it_value: moment(1) };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting).unwrap();
}

/// A timer has one event until it is read.
#[test]
fn a_timer() {
    on_workers(|| {
        let timer = Arc::new(timer());
        let own = timer.try_clone().unwrap();
        let ring = move || {
            expire(&timer, 0);
            // Its event is an interrupt's, later than the call.
            assert_eq!(rustix::event::poll(&mut [readable(&timer)], None), Ok(1));
        };
        Thing::new(own, ring, |fd| read_all(fd))
    });
}

fn readable(fd: &impl AsFd) -> rustix::event::PollFd<'_> {
    rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)
}

/// A task that ignores how often a timer has expired is told of each period, or of none.
#[test]
fn a_timer_of_many_periods() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let timer = timer();
            expire(&timer, 100_000);
            for round in 0..100 {
                selector.ready(&timer, Interest::READABLE).await?;
                if round % 3 == 0 {
                    read_all(&timer);
                }
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

/// A counter has an event for each write.
#[test]
fn a_counter() {
    on_workers(|| {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let own = counter.try_clone().unwrap();
        let add = move || assert_eq!(write(&counter, &1_u64.to_ne_bytes()), Ok(8));
        Thing::new(own, add, |fd| read_all(fd))
    });
}

#[test]
fn changes_in_a_directory() {
    on_workers(|| {
        let directory = scratch();
        let changes =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&changes, &directory.0, inotify::WatchFlags::CREATE).unwrap();
        let change = move || {
            let file = directory.0.join("file");
            fs::write(&file, "").unwrap();
            fs::remove_file(file).unwrap();
        };
        Thing::new(changes, change, |fd| read_all(fd))
    });
}

/// A directory of one thing, removed when dropped.
struct Scratch(std::path::PathBuf);

fn scratch() -> Scratch {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("forebay-ready-{}-{number}", process::id()));
    fs::create_dir(&path).unwrap();
    Scratch(path)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A terminal, both its sides, without the conversions of a person's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = open_terminal(&master);
    let mut attributes = tcgetattr(&terminal).unwrap();
    attributes.make_raw();
    tcsetattr(&terminal, OptionalActions::Now, &attributes).unwrap();
    (master, terminal)
}

fn open_terminal(master: &OwnedFd) -> OwnedFd {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    ioctl_tiocgptpeer(master, flags).unwrap()
}

/// Writes, and waits until the system has passed it on to the other side.
fn type_to(from: &OwnedFd, to: &OwnedFd) {
    assert_eq!(write(from, b"x"), Ok(1));
    assert_eq!(rustix::event::poll(&mut [readable(to)], None), Ok(1));
}

#[test]
fn a_terminal() {
    on_workers(|| {
        let (master, terminal) = terminal();
        let own = terminal.try_clone().unwrap();
        Thing::new(own, move || type_to(&master, &terminal), |fd| read_all(fd))
    });
}

#[test]
fn the_master_of_a_terminal() {
    on_workers(|| {
        let (master, terminal) = terminal();
        let own = master.try_clone().unwrap();
        Thing::new(own, move || type_to(&terminal, &master), |fd| read_all(fd))
    });
}

/// A poll of another library, or of the program's own, can be awaited like what it watches.
#[test]
fn a_poll() {
    on_workers(|| {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&poll, &counter, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
        let own = counter.try_clone().unwrap();
        let add = move || assert_eq!(write(&counter, &1_u64.to_ne_bytes()), Ok(8));
        Thing::new(poll, add, move |_| read_all(&own))
    });
}

/// A process ends once, and has ended from then on.
#[test]
fn a_process() {
    for workers in WORKERS {
        watched(move || {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            let end = child.stdin.take();
            selector.block_on(ended(&selector, process, workers, move || drop(end))).unwrap();
            child.wait().unwrap();
        });
    }
}

async fn ended(
    selector: &SelectorManager,
    process: OwnedFd,
    workers: u16,
    end: impl FnOnce(),
) -> Result<()> {
    let process = Arc::new(process);
    let wait = |_| {
        let (of_the_task, process) = (selector.clone(), Arc::clone(&process));
        selector.spawn_value(async move { of_the_task.ready(&*process, Interest::READABLE).await })
    };
    let waits: Vec<_> = (0..2 * workers).map(wait).collect();
    until(|| watched_by(selector) == waits.len()).await;
    end();
    for wait in waits {
        assert_eq!(wait.await??, Interest::READABLE);
    }
    assert_eq!(selector.ready(&*process, Interest::READABLE).await?, Interest::READABLE);
    Ok(())
}

fn watched_by(selector: &SelectorManager) -> usize {
    selector.worker_stats().iter().map(|worker| worker.watched).sum()
}

/// Signals of a process whose threads all block them, as `signalfd(2)` wants it.
#[test]
fn signals() {
    const NAME: &str = "signals";
    if role().is_some() {
        return receive_signals();
    }
    let wrapper = ["env", "--block-signal=USR1"];
    if !Child::can_trace(&wrapper) {
        return skip(NAME, "env has no --block-signal");
    }
    watched(move || {
        let mut child = Child::start_under(&wrapper, NAME, "receives signals");
        while let Some(line) = child.hear() {
            if line == "end" {
                return;
            }
            assert_eq!(line, "waits");
            let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
            kill_process(pid, rustix::process::Signal::USR1).unwrap();
        }
        panic!("the child has ended early");
    });
}

fn receive_signals() {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGUSR1);
    for workers in WORKERS {
        let selector = SelectorManager::builder().workers(workers).build().unwrap();
        selector
            .block_on(async {
                let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
                for _ in 0..2 * workers {
                    let signals = Arc::new(SignalFd::with_flags(&mask, flags).unwrap());
                    let (of_task, of_selector) = (Arc::clone(&signals), selector.clone());
                    let wait = selector.spawn_value(async move {
                        of_selector.ready(&*of_task, Interest::READABLE).await
                    });
                    until(|| watched_by(&selector) == 1).await;
                    say("waits");
                    assert_eq!(wait.await??, Interest::READABLE);
                    selector.ready(&*signals, Interest::READABLE).await?;
                    assert!(signals.read_signal().unwrap().is_some());
                    let mut next = Box::pin(selector.ready(&*signals, Interest::READABLE));
                    assert_eq!(poll_once(&mut next).await.transpose()?, None);
                }
                Result::Ok(())
            })
            .unwrap();
    }
    say("end");
}

/// A changed attribute of `/proc`, which is a regular file of a kind that epoll takes.
#[test]
fn a_file_of_proc() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mounts = fs::File::open("/proc/self/mounts").unwrap();
            let readable = selector.ready(&mounts, Interest::READABLE).await?;
            assert_eq!(readable, Interest::READABLE);
            let mut changed = Box::pin(selector.ready(&mounts, Interest::PRIORITY));
            assert_eq!(poll_once(&mut changed).await.transpose()?, None);
            settle().await;
            assert_eq!(poll_once(&mut changed).await.transpose()?, None);
            Result::Ok(())
        })
    })
    .unwrap();
}

/// The reader of a FIFO that hangs up, and is opened again.
#[test]
fn a_fifo_that_hangs_up_comes_back() {
    for workers in WORKERS {
        watched(move || {
            let directory = scratch();
            let path = directory.0.join("fifo");
            rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
            let open = |flags| rustix::fs::open(&path, flags | OFlags::CLOEXEC, 0.into()).unwrap();
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async {
                let reader = open(OFlags::RDONLY | OFlags::NONBLOCK);
                assert_waits(&selector, &reader).await?;
                for _ in 0..3 {
                    // A writer, whose coming is no event, and with which an end that was there is gone.
                    let writer = open(OFlags::WRONLY);
                    assert_waits(&selector, &reader).await?;
                    let mut wait = Box::pin(selector.ready(&reader, Interest::READABLE));
                    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
                    assert_eq!(write(&writer, b"!"), Ok(1));
                    assert!(wait.await?.is_readable());
                    read_all(&reader);
                    let mut wait = Box::pin(selector.ready(&reader, Interest::READABLE));
                    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
                    drop(writer);
                    assert!(wait.await?.is_readable());
                    for _ in 0..3 {
                        assert!(selector.ready(&reader, Interest::READABLE).await?.is_readable());
                        assert_eq!(read(&reader, &mut [0]), Ok(0));
                    }
                }
                Result::Ok(())
            })
        })
        .unwrap();
    }
}

/// The master of a terminal that its last user closes, and another one opens.
#[test]
fn a_terminal_that_hangs_up_comes_back() {
    for workers in WORKERS {
        watched(move || {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async {
                let (master, mut terminal) = terminal();
                for _ in 0..3 {
                    assert_waits(&selector, &master).await?;
                    type_to(&terminal, &master);
                    assert!(selector.ready(&master, Interest::READABLE).await?.is_readable());
                    read_all(&master);
                    let mut wait = Box::pin(selector.ready(&master, Interest::READABLE));
                    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
                    drop(terminal);
                    assert!(wait.await?.is_readable());
                    for _ in 0..3 {
                        assert!(selector.ready(&master, Interest::READABLE).await?.is_readable());
                        assert_eq!(read(&master, &mut [0]), Err(Errno::IO));
                    }
                    terminal = open_terminal(&master);
                }
                Result::Ok(())
            })
        })
        .unwrap();
    }
}

/// Fails if a wait for input ends, though nothing has happened.
async fn assert_waits(selector: &SelectorManager, fd: &OwnedFd) -> Result<()> {
    let mut wait = Box::pin(selector.ready(fd, Interest::READABLE));
    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
    settle().await;
    assert_eq!(poll_once(&mut wait).await.transpose()?, None);
    Ok(())
}
