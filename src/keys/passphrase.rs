//! Where a passphrase or another secret comes from: a person, an open file, the service manager.
//!
//! Promises: what is typed is not shown, and the terminal is as it was afterwards, also after
//! Ctrl-C; no secret passes through an argument or the environment, where others could see it; a
//! person is asked only at a terminal, so that nothing unattended hangs at a question.
//! Refuses: lines that are empty, no text, or longer than 1 KiB.
//!
//! Sources: termios(3); systemd.exec(5), Credentials.

use super::{Secret, locked::Locked};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use rustix::termios::{tcgetattr, tcsetattr};
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdin, Write};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Where the passphrase of the keystore is to be found.
#[derive(Clone, Debug, Default)]
pub struct Unlock {
    /// Number of an open file whose first line it is.
    pub fd: Option<u32>,
    /// Name of a credential.
    pub credential: Option<String>,
    /// Where the service manager puts credentials (CREDENTIALS_DIRECTORY).
    pub credentials_dir: Option<PathBuf>,
}

/// The credential that is looked for when none is named.
pub const CREDENTIAL: &str = "parallax-passphrase";

impl Unlock {
    /// The passphrase: from the open file or credential named, from the credential
    /// `parallax-passphrase` where there is one, else from the person at the terminal.
    pub fn passphrase(&self, question: &str) -> Result<Secret, PassphraseError> {
        if let Some(fd) = self.fd {
            return one_line(fd);
        }
        if let Some(path) = self.credential_file()? {
            let file = File::open(&path).map_err(|error| PassphraseError::File(path, error))?;
            return Ok(read_lines(file, 1)?.remove(0));
        }
        ask(question)
    }

    /// Whether a person will be asked.
    pub fn is_asked(&self) -> bool {
        self.fd.is_none() && self.credential_file().is_ok_and(|file| file.is_none())
    }

    fn credential_file(&self) -> Result<Option<PathBuf>, PassphraseError> {
        let place = |dir: &Path| dir.join(self.credential.as_deref().unwrap_or(CREDENTIAL));
        let path = self.credentials_dir.as_deref().map(place);
        match (path, &self.credential) {
            (None, Some(name)) => Err(PassphraseError::NoCredentials(name.clone())),
            (Some(path), None) if !path.exists() => Ok(None),
            (path, _) => Ok(path),
        }
    }
}

/// Why there is no passphrase or other secret.
#[derive(Debug)]
pub enum PassphraseError {
    /// Nobody to ask: standard input is no terminal.
    NoTerminal,
    /// The terminal failed.
    Terminal(io::Error),
    /// Ctrl-C, or the end of the input.
    GivenUp,
    /// An open file or a credential that can't be read.
    File(PathBuf, io::Error),
    /// A credential is named and the service manager gives none.
    NoCredentials(String),
    /// Fewer lines than wanted.
    TooFew,
    /// Longer than 1 KiB, or no text.
    NoText,
    /// The two entries of a new passphrase differ.
    Different,
    /// A new passphrase of fewer characters than this.
    Short(usize),
}

impl fmt::Display for PassphraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassphraseError::NoTerminal => write!(
                f,
                "there is nobody to ask for the passphrase: standard input is no terminal\n    \
                 fix: use --passphrase-fd N, or a systemd credential named {CREDENTIAL}"
            ),
            PassphraseError::Terminal(error) => write!(f, "the terminal failed: {error}"),
            PassphraseError::GivenUp => f.write_str("given up: nothing was done"),
            PassphraseError::File(path, error) => {
                write!(f, "{} can't be read: {error}", path.display())
            }
            PassphraseError::NoCredentials(name) => write!(
                f,
                "the credential {name} is asked for, and CREDENTIALS_DIRECTORY is not set\n    \
                 fix: add LoadCredentialEncrypted={name} to the service"
            ),
            PassphraseError::TooFew => {
                f.write_str("the input ended before the secret: give each on a line of its own")
            }
            PassphraseError::NoText => {
                f.write_str("the secret is longer than 1 KiB, or is not text")
            }
            PassphraseError::Different => {
                f.write_str("the two entries differ: nothing was done; try again")
            }
            PassphraseError::Short(least) => {
                write!(
                    f,
                    "the passphrase is shorter than {least} characters: nothing was done"
                )
            }
        }
    }
}

impl std::error::Error for PassphraseError {}

/// A passphrase for a new keystore: long enough, and typed twice where a person types it.
pub fn new_passphrase(unlock: &Unlock) -> Result<Secret, PassphraseError> {
    let first = unlock.passphrase("New passphrase: ")?;
    if first.expose().chars().count() < PASSPHRASE_LEAST {
        return Err(PassphraseError::Short(PASSPHRASE_LEAST));
    }
    if unlock.is_asked() {
        let second = ask("The same again: ")?;
        if first.expose() != second.expose() {
            return Err(PassphraseError::Different);
        }
    }
    Ok(first)
}

/// A secret for each question: lines of an open file, or what a person types unseen.
pub fn secrets(fd: Option<u32>, questions: &[&str]) -> Result<Vec<Secret>, PassphraseError> {
    match fd {
        Some(fd) => read_lines(open(fd)?, questions.len()),
        None => questions.iter().map(|question| ask(question)).collect(),
    }
}

/// Asks whether to go on, at a terminal only. Anything but `yes` is no.
pub fn confirm(question: &str) -> Result<bool, PassphraseError> {
    Ok(typed(&format!("{question} (yes/no) "))? == "yes")
}

/// What a person types, at a terminal only, and sees.
pub fn typed(question: &str) -> Result<String, PassphraseError> {
    if !io::stdin().is_terminal() {
        return Err(PassphraseError::NoTerminal);
    }
    tell(question)?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(PassphraseError::Terminal)?;
    Ok(answer.trim().to_owned())
}

fn one_line(fd: u32) -> Result<Secret, PassphraseError> {
    Ok(read_lines(open(fd)?, 1)?.remove(0))
}

/// An open file of this process by its number. `/dev/fd` opens it once more, which for a pipe is
/// the same pipe, and for a file begins at its start.
fn open(fd: u32) -> Result<File, PassphraseError> {
    let path = PathBuf::from(format!("/dev/fd/{fd}"));
    File::open(&path).map_err(|error| PassphraseError::File(path, error))
}

/// The first lines, without their ends. Nothing is buffered that would not be wiped.
fn read_lines(mut file: impl Read, count: usize) -> Result<Vec<Secret>, PassphraseError> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let mut line = Zeroizing::new([0; LINE_BYTES_MAX]);
        let len = read_line(&mut file, &mut line[..])?;
        lines.push(to_secret(&mut line[..len])?);
    }
    Ok(lines)
}

fn read_line(file: &mut impl Read, line: &mut [u8]) -> Result<usize, PassphraseError> {
    let mut len = 0;
    loop {
        let mut byte = [0];
        match read_byte(file, &mut byte)? {
            0 if len == 0 => return Err(PassphraseError::TooFew),
            0 => return Ok(len),
            _ if byte[0] == b'\n' && line[..len].ends_with(b"\r") => return Ok(len - 1),
            _ if byte[0] == b'\n' => return Ok(len),
            _ => *line.get_mut(len).ok_or(PassphraseError::NoText)? = byte[0],
        }
        byte.zeroize();
        len += 1;
    }
}

/// 0 at the end. A signal in between, such as that of a resized window, is no error.
fn read_byte(input: &mut impl Read, byte: &mut [u8; 1]) -> Result<usize, PassphraseError> {
    loop {
        match input.read(byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            count => return count.map_err(PassphraseError::Terminal),
        }
    }
}

fn to_secret(line: &mut [u8]) -> Result<Secret, PassphraseError> {
    let is_text = std::str::from_utf8(line).is_ok();
    let taken = Locked::take(line);
    match (is_text, taken.bytes().is_empty()) {
        (false, _) => Err(PassphraseError::NoText),
        (true, true) => Err(PassphraseError::TooFew),
        (true, false) => Ok(Secret(taken)),
    }
}

/// Asks a person, who does not see what they type.
fn ask(question: &str) -> Result<Secret, PassphraseError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(PassphraseError::NoTerminal);
    }
    let mut unseen = Unseen::begin(stdin)?;
    tell(question)?;
    let mut line = Zeroizing::new([0; LINE_BYTES_MAX]);
    let typed = type_line(&mut unseen, &mut line[..]);
    tell("\n")?;
    let len = typed?;
    to_secret(&mut line[..len])
}

/// Key by key, since the terminal edits no line now: backspace takes a character away, Ctrl-U all,
/// Ctrl-C and Ctrl-D give up.
fn type_line(input: &mut impl Read, line: &mut [u8]) -> Result<usize, PassphraseError> {
    let mut len = 0_usize;
    loop {
        let mut byte = [0];
        match (read_byte(input, &mut byte)?, byte[0]) {
            (0, _) | (_, 3 | 4) => return Err(PassphraseError::GivenUp),
            (_, b'\n' | b'\r') => return Ok(len),
            (_, 8 | 127) => {
                // A character is one byte and all continuations behind it (RFC 3629).
                while len > 0 && line[len - 1] & 0xC0 == 0x80 {
                    len -= 1;
                }
                len = len.saturating_sub(1);
            }
            (_, 21) => len = 0,
            (_, byte) => {
                *line.get_mut(len).ok_or(PassphraseError::NoText)? = byte;
                len += 1;
            }
        }
        byte.zeroize();
    }
}

fn tell(text: &str) -> Result<(), PassphraseError> {
    let mut out = io::stderr().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(PassphraseError::Terminal)
}

/// A terminal that shows nothing, until this is dropped. Ctrl-C arrives as a key: as a signal it
/// would end the process and leave the terminal blind.
struct Unseen {
    terminal: Stdin,
    before: Termios,
}

impl Unseen {
    fn begin(terminal: Stdin) -> Result<Unseen, PassphraseError> {
        let failed = |error: rustix::io::Errno| PassphraseError::Terminal(error.into());
        let before = tcgetattr(&terminal).map_err(failed)?;
        let mut unseen = before.clone();
        unseen.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        unseen.special_codes[SpecialCodeIndex::VMIN] = 1;
        unseen.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &unseen).map_err(failed)?;
        Ok(Unseen { terminal, before })
    }
}

/// Past the buffer of the standard library, which nobody wipes.
impl Read for Unseen {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.terminal, bytes)?)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

const LINE_BYTES_MAX: usize = 1024;
/// Shorter ones are guessed in spite of the derivation's cost.
const PASSPHRASE_LEAST: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_one_by_one_without_their_ends() {
        let lines = |bytes: &[u8], count| {
            let read = read_lines(bytes, count);
            read.map(|all| {
                all.iter()
                    .map(|line| line.expose().to_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            lines(b"one\ntwo\r\nthree", 3).unwrap(),
            ["one", "two", "three"]
        );
        assert_eq!(lines(b" a b \n", 1).unwrap(), [" a b "]);
        for bytes in [&b""[..], b"\n", b"one\n"] {
            assert!(matches!(lines(bytes, 2), Err(PassphraseError::TooFew)));
        }
        assert!(matches!(lines(b"\xff\n", 1), Err(PassphraseError::NoText)));
        assert!(matches!(
            lines(&[b'x'; 1025], 1),
            Err(PassphraseError::NoText)
        ));
        assert!(lines(&[b'x'; 1024], 1).is_ok());
    }

    #[test]
    fn keys_edit_the_line() {
        let typed = |bytes: &[u8]| {
            let mut line = [0; 16];
            type_line(&mut &*bytes, &mut line).map(|len| line[..len].to_vec())
        };
        assert_eq!(typed(b"abc\r").unwrap(), b"abc");
        assert_eq!(typed(b"abx\x7fc\n").unwrap(), b"abc");
        assert_eq!(typed("é\x7f\x7fa\n".as_bytes()).unwrap(), b"a");
        assert_eq!(typed(b"wrong\x15right\n").unwrap(), b"right");
        for given_up in [&b"ab\x03"[..], b"ab\x04", b"ab"] {
            assert!(matches!(typed(given_up), Err(PassphraseError::GivenUp)));
        }
        assert!(matches!(
            typed(b"12345678901234567"),
            Err(PassphraseError::NoText)
        ));
    }

    #[test]
    fn credentials_are_found_by_name() {
        let dir = std::env::temp_dir().join(format!("parallax-cred-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(CREDENTIAL), "from the manager\n").unwrap();
        std::fs::write(dir.join("other"), "another\n").unwrap();
        let unlock = |name: Option<&str>| Unlock {
            credential: name.map(str::to_owned),
            credentials_dir: Some(dir.clone()),
            fd: None,
        };
        let found = |name| {
            unlock(name)
                .passphrase("")
                .map(|text| text.expose().to_owned())
        };
        assert_eq!(found(None).unwrap(), "from the manager");
        assert_eq!(found(Some("other")).unwrap(), "another");
        assert!(matches!(
            found(Some("none")),
            Err(PassphraseError::File(..))
        ));
        assert!(!unlock(None).is_asked());
        let nowhere = Unlock {
            credential: Some("x".into()),
            ..Unlock::default()
        };
        let refused = nowhere.passphrase("");
        assert!(matches!(refused, Err(PassphraseError::NoCredentials(_))));
        assert!(Unlock::default().is_asked());
        let _ = std::fs::remove_dir_all(&dir);
    }
}
