//! `deploy/slurm`: a whole Slurm of four nodes on this machine, and jobs that it runs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::deploy::{Daemons, bounded, free_port, installed, path_with, root, told};
use tests::eventually;

/// One for the server, and three for clients.
const NODES: usize = 4;

/// A Slurm that ends with the test.
struct Slurm {
    folder: TempDir,
    path: String,
    _daemons: Daemons,
}

impl Slurm {
    /// Starts it, and waits until all nodes can take jobs; `None` where it is not installed.
    fn start() -> Option<Self> {
        let programs = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol"].map(installed);
        let [munged, slurmctld, slurmd, ..] = &programs;
        if programs.iter().any(Option::is_none) {
            return None;
        }
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let (path, mut daemons) = (folder.path(), Daemons::default());
        // Munge wants others to reach its socket, and nobody its key.
        set_mode(path, 0o755);
        fs::write(path.join("key"), random_bytes()).expect("a key can be written");
        set_mode(&path.join("key"), 0o600);
        fs::write(path.join("slurm.conf"), configuration(path)).expect("it can be written");
        let start = |daemons: &mut Daemons, program: &Option<_>, name: &str, arguments: &[String]| {
            let mut command = Command::new(program.as_ref().expect("it is installed"));
            command.args(arguments).env("SLURM_CONF", path.join("slurm.conf"));
            daemons.start(&mut command, &path.join(format!("{name}.out")));
        };
        let at = |name: &str| path.join(name).display().to_string();
        let munge = ["key-file=key", "socket=munge.socket", "pid-file=munged.pid", "seed-file=munge.seed"];
        let options = munge.map(|option| option.split_once('=').expect("it has both"));
        let mut options: Vec<_> =
            options.iter().map(|(name, file)| format!("--{name}={}", at(file))).collect();
        options.push("--foreground".to_owned());
        start(&mut daemons, munged, "munged", &options);
        eventually("munge listens", || path.join("munge.socket").exists());
        start(&mut daemons, slurmctld, "slurmctld", &["-D".to_owned()]);
        for node in 1..=NODES {
            start(&mut daemons, slurmd, &format!("n{node}"), &["-D".into(), "-N".into(), format!("n{node}")]);
        }
        let programs = [
            ("client", env!("CARGO_BIN_EXE_tested-client")),
            ("server-tokio", env!("CARGO_BIN_EXE_tested-server-tokio")),
        ];
        fs::create_dir(path.join("bin")).expect("a folder can be made");
        let search = path_with(&path.join("bin"), &programs);
        let slurm = Self { path: search, folder, _daemons: daemons };
        eventually("all nodes are idle", || slurm.says("sinfo", &["-h", "-o", "%D %T"]) == "4 idle");
        Some(slurm)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = bounded(program);
        let configuration = self.folder.path().join("slurm.conf");
        command.env("SLURM_CONF", configuration).env("PATH", &self.path).current_dir(self.folder.path());
        command
    }

    fn says(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().expect("it can be started");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Submits the job and waits for its end: its exit code, and the merged result.
    fn load(&self, arguments: &[&str]) -> (String, Value, String) {
        let mut sbatch = self.command("sbatch");
        sbatch.args(["--parsable", "--output=job-%j.txt"]).arg(root().join("deploy/slurm/load.sbatch"));
        let output = sbatch.args(arguments).env("LISTEN", "127.0.0.1").env("START_IN", "3").output();
        let output = output.expect("it can be started");
        let job = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let code = self.exit_code(&job);
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let said = format!("{}{}", told(&output), read(&format!("job-{job}.txt")));
        let json = serde_json::from_str(&read(&format!("shout-load-{job}/merged.json")));
        (code, json.unwrap_or_else(|error| panic!("{error}: {said}")), said)
    }

    /// Waits for a job's end. Not by `sbatch --wait`, which looks every half minute.
    fn exit_code(&self, job: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let said = self.says("scontrol", &["show", "job", "--oneliner", job]);
            let field = |name| said.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default();
            if !["", "PENDING", "RUNNING", "CONFIGURING", "COMPLETING"].contains(&field("JobState=")) {
                return field("ExitCode=").to_owned();
            }
            assert!(Instant::now() < deadline, "the job did not end: {said}");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // What a test that fails leaves running; nothing where it does not.
        if thread::panicking() {
            let _ = self.command("scancel").args(["--signal=KILL", "--full", "--name=shout-load"]).status();
            eventually("no job is left", || self.says("squeue", &["-h"]).is_empty());
        }
    }
}

/// All on loopback, as the user of this test.
fn configuration(folder: &Path) -> String {
    let user = Command::new("id").arg("-un").output().expect("id is everywhere").stdout;
    let user = String::from_utf8_lossy(&user).trim().to_owned();
    let folder = folder.display();
    let nodes: String = (1..=NODES)
        .map(|node| {
            let port = free_port();
            format!("NodeName=n{node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=2\n")
        })
        .collect();
    format!(
        "ClusterName=shout\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={port}\n\
         CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\n\
         SlurmUser={user}\nSlurmdUser={user}\n\
         AuthType=auth/munge\nAuthInfo=socket={folder}/munge.socket\nCredType=cred/munge\n\
         StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool-%n\n\
         SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/%n.pid\n\
         SlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/%n.log\n\
         ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\n\
         SlurmdParameters=config_overrides\nSelectType=select/cons_tres\nReturnToService=2\nKillWait=2\n\
         {nodes}PartitionName=all Nodes=n[1-{NODES}] Default=YES MaxTime=10 State=UP\n",
        port = free_port()
    )
}

fn random_bytes() -> Vec<u8> {
    use std::io::Read;
    let mut bytes = vec![0; 128];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("it never ends");
    bytes
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is this test's own");
}

#[test]
fn a_job_loads_from_three_nodes_and_has_the_exit_code_of_its_worst_rank() {
    let Some(slurm) = Slurm::start() else { return };
    let rate = ["-r", "300", "-d", "1s"];
    // Two jobs at once, since each waits for its moment. In the second there are two connections
    // for three clients, so that the last one has nothing to do and ends with 2.
    let (whole, broken) = thread::scope(|scope| {
        let whole = scope.spawn(|| slurm.load(&[&["-c", "6"], &rate[..]].concat()));
        let broken = scope.spawn(|| slurm.load(&[&["-c", "2"], &rate[..]].concat()));
        (whole.join().expect("it ends"), broken.join().expect("it ends"))
    });

    let (code, merged, said) = whole;
    assert_eq!(code, "0:0", "{said}");
    assert_eq!((&merged["ok"], &merged["logs"]), (&true.into(), &3.into()), "{merged}");
    let ranks: Vec<_> = (0..3).map(|index| &merged["clients"][index]["load"]["rank"]["rank"]).collect();
    assert_eq!(ranks, [&Value::from(0), &1.into(), &2.into()], "{merged}");
    let requests = merged["requests"].as_u64().unwrap_or_default();
    assert!((270..=310).contains(&requests), "{merged}");
    assert!(said.contains("3 logs that cover"), "{said}");

    let (code, merged, said) = broken;
    assert_eq!(code, "2:0", "{said}");
    assert_eq!((&merged["ok"], &merged["logs"]), (&false.into(), &2.into()), "{merged}");
    assert_eq!(merged["missing"][0]["log"], "rank 2", "{merged}");
}
