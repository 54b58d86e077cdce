//! tokio-postgres against PostgreSQL, by `connect_raw`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use forebay::SelectorManager;
use forebay_interop::{Foreign, bounded, free_port, skip, until_listening};
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::{Config, NoTls};

/// Where Debian has the programs, which are not on the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}

/// A program that runs as the user `postgres`, because PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Makes a cluster in a new folder, or says why not.
fn cluster(bin: &Path, folder: &Path) -> Result<(), String> {
    let mut initdb = as_postgres(&bin.join("initdb"));
    initdb.arg("-D").arg(folder).args(["-A", "trust", "-U", "postgres", "--no-sync"]);
    let output = initdb.current_dir("/tmp").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("setpriv: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("initdb: {complaint}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_copies_and_errors() {
    const NAME: &str = "queries_copies_and_errors";
    let Some(bin) = programs() else {
        return skip(NAME, "no PostgreSQL is installed");
    };
    let port = free_port();
    let folder = std::env::temp_dir().join(format!("forebay-postgres-{port}"));
    if let Err(reason) = cluster(&bin, &folder) {
        return skip(NAME, &reason);
    }
    let server = Foreign::start(
        as_postgres(&bin.join("postgres"))
            .arg("-D")
            .arg(&folder)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            .current_dir("/tmp"),
    );
    tokio::task::spawn_blocking(move || until_listening(port)).await.unwrap();
    bounded(session(port)).await;
    drop(server);
    fs::remove_dir_all(folder).ok();
}

async fn session(port: u16) {
    let selector = SelectorManager::new();
    let mut config = Config::new();
    config.user("postgres").dbname("postgres");
    let (client, connection) = loop {
        let socket = selector.tcp().connect(("127.0.0.1", port)).await.unwrap();
        match config.connect_raw(socket.connection().unwrap(), NoTls).await {
            Ok(connected) => break connected,
            // It listens before it is ready: "the database system is starting up".
            Err(error) if error.code().is_some_and(|code| code.code() == "57P03") => {}
            Err(error) => panic!("{error:?}"),
        }
    };
    let driving = tokio::spawn(connection);
    client.batch_execute("create table t (n int, s text)").await.unwrap();
    let insert = client.prepare("insert into t values ($1, $2)").await.unwrap();
    // At once: they are pipelined.
    let inserts = (0..100_i32).map(|n| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[&n, &"s".repeat(1000)]).await }
    });
    for inserted in futures_util::future::join_all(inserts).await {
        assert_eq!(inserted.unwrap(), 1);
    }
    let rows = client.query("select n, s from t order by n", &[]).await.unwrap();
    assert!(rows.iter().zip(0..).all(|(row, n)| row.get::<_, i32>(0) == n));
    assert!(client.query("select nonsense", &[]).await.unwrap_err().code().is_some());

    let mut copy = Box::pin(client.copy_in("copy t from stdin").await.unwrap());
    for n in 0..100 {
        copy.send(bytes::Bytes::from(format!("{n}\t{}\n", "c".repeat(20_000)))).await.unwrap();
    }
    copy.close().await.unwrap();
    let copied = client.copy_out("copy t to stdout").await.unwrap();
    let length = copied.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) });
    assert!(length.await.unwrap() > 100 * 21_000);
    drop(client);
    driving.await.unwrap().unwrap();
}
