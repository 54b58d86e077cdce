//! The crate `redis` against redis-server.

use std::process::Command;

use forebay::SelectorManager;
use forebay_interop::{Foreign, bounded, free_port, has, skip, until_listening};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisConnectionInfo};

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_pipelined_over_one_connection() {
    if !has("redis-server") {
        return skip("commands_are_pipelined_over_one_connection", "no redis-server is installed");
    }
    let port = free_port();
    let _server = Foreign::start(Command::new("redis-server").args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]));
    tokio::task::spawn_blocking(move || until_listening(port)).await.unwrap();
    let selector = SelectorManager::new();
    let socket = selector.tcp().connect(("127.0.0.1", port)).await.unwrap();
    let info = RedisConnectionInfo::default();
    let connection = socket.connection().unwrap();
    let (client, driving) = bounded(MultiplexedConnection::new(&info, connection)).await.unwrap();
    let driving = tokio::spawn(driving);
    let tasks = (0..100_u32).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let (key, value) = (format!("key {number}"), "v".repeat(number as usize * 100));
            let () = client.set(&key, &value).await.unwrap();
            let read: String = client.get(&key).await.unwrap();
            assert!(read == value, "{number}");
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        bounded(task).await.unwrap();
    }
    drop(client);
    bounded(driving).await.unwrap();
}
