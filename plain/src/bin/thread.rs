//! One thread per conversation: the main thread goes straight back to accepting.

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    for stream in listener.incoming().flatten() {
        // `thread::spawn` would panic where there is no thread left; this turns the client away.
        let _ = std::thread::Builder::new().spawn(|| plain::converse(stream));
    }
    Ok(())
}
