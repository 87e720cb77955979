//! What the plain servers share: the listener, and one conversation from its beginning to its end.
//!
//! Absent on purpose: limits, timeouts, a drain, a log, and a pause while no descriptor is left
//! (accepting then fails, and is tried again at once). The `server-*` crates have all of them.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, anyhow};
use common::{Buffer, Conversation, Progress, Turn, shout};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Listens on the address in the only argument, else on 127.0.0.1:8080, and prints which it is.
pub fn listen() -> Result<TcpListener> {
    let argument = std::env::args_os().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let address = argument.to_str().and_then(|text| text.parse().ok());
    let address = address.ok_or_else(|| anyhow!("{argument:?} is not an address such as 127.0.0.1:8080"))?;
    let listener = bind(address).map_err(|error| anyhow!("cannot listen on {address}: {error}"))?;
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);
    Ok(listener)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Linux copies it to each accepted socket. Without it, an answer in two pieces waits 40 ms.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // How many clients may wait to be accepted; the standard library's listener lets 128.
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Moves a conversation on for one turn. An error ends this conversation, and no other.
pub fn drive(
    conversation: &mut Conversation,
    stream: &mut (impl Read + Write),
    buffer: &mut Buffer,
) -> Progress {
    let turn = Turn { bytes: Turn::FAIR_BYTES, short_read_drains: false };
    common::drive(conversation, stream, buffer, turn, shout).unwrap_or(Progress::Ended)
}

/// One whole conversation, for a process or a thread that may sleep in it.
pub fn converse(mut stream: TcpStream) {
    let (mut conversation, mut buffer) = (Conversation::new(), Buffer::new());
    while drive(&mut conversation, &mut stream, &mut buffer) != Progress::Ended {}
}

/// The same for a task, which gives way to others where it says `await`.
pub async fn converse_async(mut stream: tokio::net::TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    while let count @ 1.. = stream.read(&mut buffer).await? {
        shout(&mut buffer[..count]);
        stream.write_all(&buffer[..count]).await?;
    }
    Ok(())
}
