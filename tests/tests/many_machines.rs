//! `deploy/parallel` and `deploy/mpi`: clients over ssh on three addresses of this machine, and
//! clients that mpirun starts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use tests::deploy::{Daemons, bounded, free_port, installed, path_with, root, told};
use tests::{Kind, Model, Server, eventually};

const CLIENT: (&str, &str) = ("client", env!("CARGO_BIN_EXE_tested-client"));

fn server() -> Server {
    let model = Model { kind: Kind::Thread, program: env!("CARGO_BIN_EXE_tested-server-thread") };
    Server::start(model, &[])
}

/// A folder, and a PATH that has the client.
fn stage() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::create_dir(folder.path().join("bin")).expect("a folder can be made");
    let path = path_with(&folder.path().join("bin"), &[CLIENT]);
    (folder, path)
}

/// Asserts that three clients have loaded the server together, and that nothing is missing.
#[track_caller]
fn assert_merged(output: &Output) {
    let (said, text) = (told(output), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(text.starts_with("3 logs that cover ") && text.contains("errors: none"), "{said}");
    assert!(["rank 0", "rank 1", "rank 2"].iter().all(|rank| text.contains(rank)), "{said}");
    assert!(!text.contains("missing: "), "{said}");
}

/// Asserts that the last of three clients, which had no connection, is missed.
#[track_caller]
fn assert_misses_one(output: &Output, code: i32) {
    let (said, text) = (told(output), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("no connection or no request for rank 2"), "{said}");
    assert!(text.contains("missing: ") || !text.contains("3 logs"), "{said}");
}

#[test]
fn parallel_loads_from_three_hosts_over_ssh_with_one_line() {
    let programs = ["sshd", "ssh", "ssh-keygen", "parallel"].map(installed);
    let [Some(sshd), ..] = &programs else { return };
    if programs.iter().any(Option::is_none) {
        return;
    }
    let ((folder, path), server) = (stage(), server());
    let _daemons = start_sshd(sshd, folder.path(), &path);
    let address = server.address().to_string();
    let load = |connections: &str, start_in: &str| {
        let mut command = bounded(root().join("deploy/parallel/load.sh"));
        command.args(["hosts", &address, "-c", connections, "-r", "300", "-d", "1s"]);
        // A remote shell would take the sign for the name of a file.
        command.args(["--fail-if", "errors>0"]).current_dir(folder.path());
        let ssh = format!("ssh -F {}", folder.path().join("ssh_config").display());
        command.envs([("PATH", path.as_str()), ("PARALLEL_SSH", &ssh), ("START_IN", start_in)]);
        // No file of the user's is read or written.
        command.env("HOME", folder.path()).env("PARALLEL_HOME", folder.path());
        command.output().expect("it can be started")
    };
    assert_merged(&load("6", "5"));
    assert_misses_one(&load("2", "1"), 1);
    server.stop();
}

/// Starts an sshd for three addresses of loopback, with keys that only this test has.
fn start_sshd(sshd: &Path, folder: &Path, path: &str) -> Daemons {
    for key in ["host", "key"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
        assert!(keygen.status().expect("it can be started").success());
    }
    let user = Command::new("id").arg("-un").output().expect("id is everywhere").stdout;
    let (user, port, folder_name) = (String::from_utf8_lossy(&user), free_port(), folder.display());
    let server = format!(
        "Port {port}\nListenAddress 127.0.0.1\nListenAddress 127.0.0.2\nListenAddress 127.0.0.3\n\
         HostKey {folder_name}/host\nAuthorizedKeysFile {folder_name}/key.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nSetEnv PATH={path}\n"
    );
    let client = format!(
        "Host *\nPort {port}\nUser {user}\nIdentityFile {folder_name}/key\nIdentitiesOnly yes\n\
         UserKnownHostsFile {folder_name}/known\nStrictHostKeyChecking accept-new\nLogLevel ERROR\n"
    );
    fs::write(folder.join("sshd_config"), server).expect("it can be written");
    fs::write(folder.join("ssh_config"), client).expect("it can be written");
    fs::write(folder.join("hosts"), "127.0.0.1\n# a remark\n127.0.0.2\n127.0.0.3\n")
        .expect("it can be written");
    // As root it wants this folder to be there (sshd(8)); Debian makes it when the service starts.
    let _ = fs::create_dir("/run/sshd");
    let mut daemons = Daemons::default();
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
    daemons.start(&mut command, &folder.join("sshd.log"));
    eventually("sshd listens", || {
        let log = fs::read_to_string(folder.join("sshd.log")).unwrap_or_default();
        log.matches("Server listening on ").count() == 3
    });
    daemons
}

#[test]
fn mpirun_loads_with_one_line() {
    if installed("mpirun").is_none() {
        return;
    }
    let ((folder, path), server) = (stage(), server());
    let address = server.address().to_string();
    let load = |connections: &str| {
        let mut command = bounded(root().join("deploy/mpi/load.sh"));
        command.args(["3", &address, "-c", connections, "-r", "300", "-d", "1s"]);
        command.current_dir(folder.path()).envs([("PATH", path.as_str()), ("START_IN", "3")]);
        // What its options --oversubscribe and --allow-run-as-root say.
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command.output().expect("it can be started")
    };
    assert_merged(&load("6"));
    assert_misses_one(&load("2"), 2);
    server.stop();
}
