//! A program that aborts when it panics: sends lines back, and panics when told to.

use forebay::{Connection, SelectorManager, Socket, write_line};

fn main() -> forebay::Result<()> {
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        println!("{}", server.port());
        let mut incoming = server.incoming();
        while let Some(socket) = incoming.next().await {
            selector.spawn(echo(socket?));
        }
        Ok(())
    })
}

async fn echo(socket: Socket) -> forebay::Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    while let Some(line) = input.read_line().await? {
        assert_ne!(line, "panic", "the handler panics");
        write_line!(output, "{line}").await?;
    }
    socket.close().await
}
