//! The smallest program for the model, as tokio's own documentation writes it: no limits, no timeouts, no drain, no counting, no log.
//! What it costs is what the runtime costs, nearly; `peers/floor/measure.py tokio-plain` measures the server against it.

use std::{env, io};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    Builder::new_current_thread().enable_io().build()?.block_on(serve(port))
}

async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A conversation that breaks concerns nobody else.
        tokio::spawn(converse(stream));
    }
}

async fn converse(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => {
                common::shout(&mut buffer[..length]);
                stream.write_all(&buffer[..length]).await?;
            }
        }
    }
}
