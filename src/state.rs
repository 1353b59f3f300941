//! What a run leaves for the next one: small files in one folder, each written whole or not at all.
//!
//! Cold. Promises: a reader finds the old content or the new one, never half of either, whatever
//! happens to the process or the machine meanwhile; two processes take turns; files are this user's
//! alone. Every error names the file and what to do about it.
//! Refuses: to know what stands in a file (each room has its own format and version); a folder that
//! others can read or write; to guess when a file can't be read: what is not known is an error.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The state folder (STATE_DIR).
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, and makes it (mode 0700) where there is none.
    pub fn open(path: &Path) -> Result<Folder, StateError> {
        let failed = |error| StateError::NoFolder(path.to_owned(), error);
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true).mode(FOLDER_MODE);
        maker.create(path).map_err(failed)?;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        match mode & 0o077 {
            0 => Ok(Folder(path.to_owned())),
            _ => Err(StateError::OpenToOthers(path.to_owned(), mode)),
        }
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The content of a file; `None` where there is no such file yet.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name)?;
        match read_bounded(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::Unreadable(path, error)),
        }
    }

    /// Replaces a file, durably: when this returns, the new content is there after a power cut.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let _turn = self.take_turn()?;
        self.replace(name, bytes)
    }

    /// Replaces a file by what `change` makes of its content, with nobody else writing in between.
    /// An error of `change` leaves the file as it was.
    pub fn update<E: From<StateError>>(
        &self,
        name: &str,
        change: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let _turn = self.take_turn()?;
        let bytes = change(self.read(name)?)?;
        Ok(self.replace(name, &bytes)?)
    }

    /// Takes a name for as long as what is given back lives, or the process. `None`: another has
    /// it.
    pub fn claim(&self, name: &str) -> Result<Option<File>, StateError> {
        let path = self.file(name)?;
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            options.mode(FILE_MODE).open(&path)
        };
        let failed = |error| StateError::Unwritable(path.clone(), error);
        let file = open().map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Beside the old file, made durable, then moved over it in one step (rename(2)); the folder's
    /// own entry is made durable last.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.file(name)?;
        let beside = self.0.join(format!(".{name}.new"));
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            let mut file = options.mode(FILE_MODE).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| StateError::Unwritable(path.clone(), error))
    }

    /// Held while a file is replaced; given back when it is dropped, or with the process.
    fn take_turn(&self) -> Result<File, StateError> {
        let path = self.0.join(LOCK);
        let lock = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let file = options.mode(FILE_MODE).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| StateError::Unwritable(path.clone(), error))
    }

    /// A name is a plain one: small letters, digits, `-` and `.`, not hidden.
    fn file(&self, name: &str) -> Result<PathBuf, StateError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = |byte: u8| is_plain(byte) || matches!(byte, b'-' | b'.');
        match name.bytes().next().is_some_and(is_plain) && name.bytes().all(fits) {
            true => Ok(self.0.join(name)),
            false => Err(StateError::BadName(name.to_owned())),
        }
    }
}

/// Why state could not be read or kept.
#[derive(Debug)]
pub enum StateError {
    /// The system refused the folder: which, and why.
    NoFolder(PathBuf, io::Error),
    /// Others have rights on the folder: which, and its mode.
    OpenToOthers(PathBuf, u32),
    /// A file is there and can't be read.
    Unreadable(PathBuf, io::Error),
    /// A file can't be replaced; the old one stands.
    Unwritable(PathBuf, io::Error),
    /// Our own mistake: a name that is none.
    BadName(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::NoFolder(path, error) => write!(
                f,
                "the state folder {} can't be used: {error}\n    fix: make it, or name another in \
                 STATE_DIR",
                path.display()
            ),
            StateError::OpenToOthers(path, mode) => {
                let path = path.display();
                write!(
                    f,
                    "the state folder {path} is open to others (mode {mode:03o})\n    fix: chmod \
                     700 {path}"
                )
            }
            StateError::Unreadable(path, error) => write!(
                f,
                "{} can't be read: {error}\n    fix: give it back to this user; moved away, what \
                 it remembers is forgotten",
                path.display()
            ),
            StateError::Unwritable(path, error) => write!(
                f,
                "{} can't be written: {error}\n    fix: make room and give the folder to this user",
                path.display()
            ),
            StateError::BadName(name) => write!(f, "{name:?} is no name for a state file"),
        }
    }
}

impl std::error::Error for StateError {}

/// At most this much is read: a larger file is not one of ours.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(io::Error::other("it is larger than 64 MiB")),
        false => Ok(bytes),
    }
}

/// The folder is this user's alone.
const FOLDER_MODE: u32 = 0o700;
/// So are the files.
const FILE_MODE: u32 = 0o600;
/// Who holds a lock on it may replace files.
const LOCK: &str = ".lock";
const BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of one test, removed when dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let place =
                std::env::temp_dir().join(format!("parallax-state-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&place);
            Place(place)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_read_again_and_is_ours_alone() {
        let place = Place::new("round");
        let path = place.0.join("deep/state");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(folder.read("a.json").unwrap(), None);
        for content in [&b"one"[..], b"", b"three"] {
            folder.write("a.json", content).unwrap();
            assert_eq!(folder.read("a.json").unwrap().as_deref(), Some(content));
        }
        assert_eq!(mode(&folder.path("a.json")), 0o600);
        let again = Folder::open(&path).unwrap();
        assert_eq!(
            again.read("a.json").unwrap().as_deref(),
            Some(&b"three"[..])
        );
        let left = fs::read_dir(&path).unwrap().count();
        assert_eq!(left, 2, "the file and the lock");
    }

    #[test]
    fn a_crash_between_writing_and_renaming_leaves_the_old_file() {
        let place = Place::new("crash");
        let folder = Folder::open(&place.0).unwrap();
        folder.write("a", b"old").unwrap();
        fs::write(place.0.join(".a.new"), b"half of the ne").unwrap();
        assert_eq!(folder.read("a").unwrap().as_deref(), Some(&b"old"[..]));
        folder.write("a", b"new").unwrap();
        assert_eq!(folder.read("a").unwrap().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn an_update_that_fails_changes_nothing_and_others_wait_their_turn() {
        let place = Place::new("update");
        let folder = Folder::open(&place.0).unwrap();
        let fails = folder.update("n", |_| Err::<Vec<u8>, _>(StateError::BadName("x".into())));
        assert!(fails.is_err() && folder.read("n").unwrap().is_none());
        let count = |bytes: Option<Vec<u8>>| {
            let text = bytes.map(|b| String::from_utf8(b).unwrap());
            let count: u32 = text.map_or(0, |text| text.parse().unwrap());
            Ok::<_, StateError>((count + 1).to_string().into_bytes())
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let folder = folder.clone();
                scope.spawn(move || (0..10).for_each(|_| folder.update("n", count).unwrap()));
            }
        });
        assert_eq!(folder.read("n").unwrap().as_deref(), Some(&b"40"[..]));
    }

    #[test]
    fn a_name_is_claimed_once() {
        let place = Place::new("claim");
        let folder = Folder::open(&place.0).unwrap();
        let held = folder.claim("a.lock").unwrap();
        assert!(held.is_some() && folder.claim("a.lock").unwrap().is_none());
        assert!(folder.claim("b.lock").unwrap().is_some());
        drop(held);
        assert!(folder.claim("a.lock").unwrap().is_some());
    }

    #[test]
    fn errors_name_the_file_and_the_fix() {
        let place = Place::new("errors");
        fs::create_dir_all(&place.0).unwrap();
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o755)).unwrap();
        let said = Folder::open(&place.0).unwrap_err().to_string();
        assert!(
            said.contains("mode 755") && said.contains("fix: chmod 700 "),
            "{said}"
        );
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o700)).unwrap();
        let folder = Folder::open(&place.0).unwrap();
        for name in ["", ".lock", "../x", "A", "a/b", "-a"] {
            let said = folder.write(name, b"").unwrap_err().to_string();
            assert!(said.contains("is no name"), "{said}");
        }
        // A folder where a file should be can neither be read nor replaced.
        fs::create_dir(folder.path("a")).unwrap();
        for error in [
            folder.read("a").unwrap_err(),
            folder.write("a", b"").unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(
                said.contains("/a can't be") && said.contains("fix: "),
                "{said}"
            );
        }
        let file = folder.path("b");
        fs::write(&file, b"").unwrap();
        let said = Folder::open(&file).unwrap_err().to_string();
        assert!(said.contains("STATE_DIR"), "{said}");
    }
}
