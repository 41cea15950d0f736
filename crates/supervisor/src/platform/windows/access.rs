//! Who may use a file: its owner and its access control list. Three checks, each for a different use, report files that
//! other users can use too.
//!
//! This user, SYSTEM, Administrators and TrustedInstaller do not count as other users: the last three can change every
//! file. Entries that deny rights are ignored, so a check may report too much and never too little.

use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle;
use std::path::Path;

use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_WRITE_DATA,
    READ_CONTROL, WRITE_DAC, WRITE_OWNER,
};

use super::access_list::{Grant, Security, copy_access_list};
use super::attributes::Attributes;
use super::entry_kind::EntryKind;
use super::file::is_regular;
use super::file_identity::inspect;
use super::file_system::is_null_device;
use super::nt::{Kind, Open};
use super::sid::Sid;

/// Rights to remove or replace a file, or to give oneself every right.
const REPLACE: u32 = DELETE | FILE_DELETE_CHILD | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
/// Rights to change a file, or what is in a directory.
const CHANGE: u32 = REPLACE | FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_WRITE;
/// Rights to read or change a file.
const USE: u32 = CHANGE | FILE_READ_DATA | GENERIC_READ;

/// The type of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether it is a regular file.
    pub is_regular: bool,
    /// Whether it is the null device.
    pub is_null_device: bool,
}

impl Access {
    /// Returns the type of an open file or directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsHandle) -> io::Result<Access> {
        let is_null_device = is_null_device(&file);
        Ok(Access { is_regular: !is_null_device && is_regular(&file)?, is_null_device })
    }

    /// Returns the type of what `path` names, of the link itself if it is one.
    ///
    /// # Errors
    /// If it is missing or cannot be reached.
    pub fn of_link(path: &Path) -> io::Result<Access> {
        Access::of(inspect(path, false)?)
    }
}

/// Why other users can use a file, and what the user can do about it. Both are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The reason. Does not name the file.
    pub reason: String,
    /// The command that corrects it.
    pub hint: String,
    /// Whether another user owns the file.
    pub is_foreign: bool,
}

/// Checks an open directory whose content no other user may change: this user must own it, and nobody else can write to
/// it. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn private_directory(directory: impl AsHandle, path: &Path) -> io::Result<Option<Exposure>> {
    exposure(directory, path, CHANGE, "write to it")
}

/// Checks an open file or directory whose content is trusted, because it names programs to run: this user or the system
/// must own it, and nobody else can write to it. A directory in which others can only create files is safe, because they
/// cannot replace the files of other users. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn trusted(file: impl AsHandle, path: &Path) -> io::Result<Option<Exposure>> {
    let is_directory = Attributes::of(&file)?.kind() == EntryKind::Directory;
    let rights = if is_directory { REPLACE } else { CHANGE };
    let found = exposure(file, path, rights, "write to it")?;
    Ok(found.map(|found| Exposure { hint: format!("check its contents, then run: {}", found.hint), ..found }))
}

/// Checks who owns the link, or other file, that `path` names: this user or the system must.
///
/// # Errors
/// If it is missing or cannot be reached.
pub fn trusted_link(path: &Path) -> io::Result<Option<Exposure>> {
    // Nobody else has a right that this check asks for.
    exposure(inspect(path, false)?, path, 0, "")
}

/// Checks an open file that contains a secret: nobody but its owner can read or change it. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn secret(file: impl AsHandle, path: &Path) -> io::Result<Option<Exposure>> {
    exposure(file, path, USE, "read or change it")
}

/// Gives an open file the access rights of the file at `from`. Follows links. If that file inherits rights from its
/// directory, `to` inherits those of its own directory.
///
/// # Errors
/// If there is no such file, it cannot be reached, or this user may not change the rights of `to`.
pub fn copy_rights(from: &Path, to: &File) -> io::Result<()> {
    let from = inspect(from, true)?;
    // Handles for writing cannot change rights.
    let to = Open::existing(Kind::Any, READ_CONTROL | WRITE_DAC | FILE_READ_ATTRIBUTES).again(to)?;
    copy_access_list(from, to)
}

fn exposure(file: impl AsHandle, path: &Path, rights: u32, what: &str) -> io::Result<Option<Exposure>> {
    let security = Security::of(file)?;
    Ok(find(&security, Sid::of_this_user()?, rights).map(|found| found.describe(path, what)))
}

/// Who else can use a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Other {
    /// Another user owns it.
    Owner(Sid),
    /// An entry of the list gives rights to this account.
    Account(Sid),
    /// An entry of the list is of a kind that is not known.
    Unknown,
    /// It has no list, so every user has all rights. FAT has none.
    Everyone,
}

fn find(security: &Security, user: &Sid, rights: u32) -> Option<Other> {
    let is_other = |sid: &Sid| sid != user && !sid.is_of_system();
    if is_other(&security.owner) {
        return Some(Other::Owner(security.owner.clone()));
    }
    let Some(grants) = &security.grants else { return (rights != 0).then_some(Other::Everyone) };
    let account = |grant: &Grant| match &grant.to {
        _ if grant.rights & rights == 0 => None,
        None => Some(Other::Unknown),
        Some(sid) => (is_other(sid) && !sid.is_owner_alias()).then(|| Other::Account(sid.clone())),
    };
    grants.iter().find_map(account)
}

impl Other {
    fn describe(self, path: &Path, what: &str) -> Exposure {
        let path = path.display();
        let only_user = || match Sid::of_this_user() {
            Ok(user) => format!(r#"icacls "{path}" /inheritance:r /grant:r *{user}:F"#),
            Err(_) => format!(r#"icacls "{path}" /reset"#),
        };
        let (reason, hint, is_foreign) = match self {
            Other::Owner(owner) => (
                format!("it belongs to {}, not to you", owner.account()),
                format!(r#"takeown /f "{path}""#),
                true,
            ),
            Other::Account(sid) => (
                format!("{} can {what}", sid.account()),
                format!(r#"icacls "{path}" /inheritance:d /remove:g *{sid}"#),
                false,
            ),
            Other::Unknown => (format!("its access control list may let others {what}"), only_user(), false),
            Other::Everyone => (format!("every user can {what}"), only_user(), false),
        };
        Exposure { reason, hint, is_foreign }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dir::Directory;
    use super::super::file::create_private;
    use super::*;

    fn security(user: &Sid, grants: &[(&Sid, u32)]) -> Security {
        let grant = |(to, rights): &(&Sid, u32)| Grant { to: Some((*to).clone()), rights: *rights };
        Security { owner: user.clone(), grants: Some(grants.iter().map(grant).collect()) }
    }

    #[test]
    fn other_users_are_found_by_their_rights() {
        let [user, system, everyone] =
            ["S-1-5-21-1-2-3-1001", "S-1-5-18", "S-1-1-0"].map(|text| Sid::parse(text).unwrap());
        let own = security(&user, &[(&user, GENERIC_ALL), (&system, GENERIC_ALL)]);
        assert_eq!(find(&own, &user, USE), None);
        assert_eq!(find(&own, &everyone, USE), Some(Other::Owner(user.clone())));
        let readable = security(&system, &[(&user, CHANGE), (&everyone, FILE_READ_DATA)]);
        assert_eq!(find(&readable, &user, CHANGE), None);
        assert_eq!(find(&readable, &user, USE), Some(Other::Account(everyone.clone())));
        let sticky = security(&user, &[(&everyone, FILE_WRITE_DATA | FILE_APPEND_DATA)]);
        assert_eq!(find(&sticky, &user, REPLACE), None);
        assert_eq!(find(&sticky, &user, CHANGE), Some(Other::Account(everyone)));
        let open = Security { owner: user.clone(), grants: None };
        assert_eq!(find(&open, &user, CHANGE), Some(Other::Everyone));
        let unknown = Security { grants: Some(vec![Grant { to: None, rights: USE }]), ..open };
        assert_eq!(find(&unknown, &user, USE), Some(Other::Unknown));
    }

    #[test]
    fn texts_name_the_account_and_a_command() {
        let everyone = Sid::parse("S-1-5-21-1-2-3-4").unwrap();
        let found = Other::Account(everyone).describe(Path::new(r"C:\a b"), "write to it");
        assert_eq!(found.reason, "S-1-5-21-1-2-3-4 can write to it");
        assert_eq!(found.hint, r#"icacls "C:\a b" /inheritance:d /remove:g *S-1-5-21-1-2-3-4"#);
    }

    #[test]
    fn created_files_pass_all_checks() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        directory.make_directory("private").unwrap();
        let private = directory.open_directory("private".as_ref()).unwrap();
        assert_eq!(private_directory(&private, folder.path()).unwrap(), None);
        let file = private.create("secret").unwrap();
        assert_eq!(secret(&file, folder.path()).unwrap(), None);
        assert_eq!(trusted(&file, folder.path()).unwrap(), None);
        let path = folder.path().join("other");
        let other = create_private(&path).unwrap();
        assert_eq!(trusted_link(&path).unwrap(), None);
        copy_rights(&path, &file).unwrap();
        assert_eq!(secret(&file, folder.path()).unwrap(), None);
        assert_eq!(secret(&other, folder.path()).unwrap(), None);
        let missing = copy_rights(&folder.path().join("missing"), &file).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
