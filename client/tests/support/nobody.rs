//! An address where nobody listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use socket2::{Domain, Socket, Type};

/// An address that refuses every connection, and that nobody else gets while this process lives: a
/// socket that does not listen has it. One that was only free a moment ago may be another test's.
pub(crate) fn nobody() -> SocketAddr {
    static SILENT: LazyLock<Socket> = LazyLock::new(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket
    });
    SILENT.local_addr().unwrap().as_socket().unwrap()
}
