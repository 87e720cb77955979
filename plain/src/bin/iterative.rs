//! One conversation at a time: the next client waits until this one has left.

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    for stream in listener.incoming().flatten() {
        plain::converse(stream);
    }
    Ok(())
}
