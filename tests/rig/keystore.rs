//! A keystore of one test, and commands on it as a user gives them: the passphrase on the first
//! line of standard input, further secrets on the next ones.

use crate::command::parallax;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// What opens it.
pub const PASSPHRASE: &str = "seven words that only this test knows";

/// A folder with a keystore in it, removed when dropped.
pub struct Kept {
    /// The folder.
    pub folder: PathBuf,
    /// Settings for every command, a file.
    pub env: String,
}

impl Kept {
    /// An empty folder, and these settings.
    pub fn new(name: &str, settings: &str) -> Kept {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("keys-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        let env = folder.join("env");
        let keystore = folder.join("keystore");
        let settings = format!("KEYSTORE={}\n{settings}", keystore.to_str().expect("UTF-8"));
        std::fs::write(&env, settings).expect("there is room");
        std::fs::set_permissions(&env, PermissionsExt::from_mode(0o600)).expect("it is ours");
        let env = env.to_str().expect("UTF-8").to_owned();
        Kept { folder, env }
    }

    /// The same with a keystore made, at the least cost there is.
    pub fn made(name: &str, settings: &str) -> Kept {
        let kept = Kept::new(name, settings);
        let made = kept.keys(&["init", "--kdf-mib", "19"], &[]);
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        kept
    }

    /// The keystore's file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("keystore")
    }

    /// A `keys` command.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = parallax(&["keys"]);
        command
            .args(arguments)
            .args(["--env", &self.env, "--passphrase-fd", "0"]);
        command
    }

    /// Runs one; what follows the passphrase are further lines.
    pub fn keys(&self, arguments: &[&str], secrets: &[&str]) -> Output {
        self.keys_with(PASSPHRASE, arguments, secrets)
    }

    /// The same with another passphrase.
    pub fn keys_with(&self, passphrase: &str, arguments: &[&str], secrets: &[&str]) -> Output {
        let child = start(self.command(arguments), passphrase, secrets);
        child.wait_with_output().expect("it ends")
    }

    /// Standard output of a command that must do well.
    pub fn told(&self, arguments: &[&str], secrets: &[&str]) -> String {
        let output = self.keys(arguments, secrets);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Standard error and status of one that must not.
    pub fn refused(&self, arguments: &[&str], secrets: &[&str]) -> (String, i32) {
        let output = self.keys(arguments, secrets);
        assert!(!output.status.success(), "{arguments:?} was done");
        let code = output.status.code().expect("it ended by itself");
        (String::from_utf8_lossy(&output.stderr).into_owned(), code)
    }
}

/// Starts a command with secrets on its standard input.
pub fn start(mut command: Command, passphrase: &str, secrets: &[&str]) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary was built");
    let mut lines = [&[passphrase], secrets].concat().join("\n");
    lines.push('\n');
    let mut input = child.stdin.take().expect("it is piped");
    // Who was refused before reading has closed its end.
    let _ = input.write_all(lines.as_bytes());
    child
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
