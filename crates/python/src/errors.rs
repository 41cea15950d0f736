//! Errors of the library as Python exceptions. The classes are in `homing/errors.py`.

use homing::core::IdError;
use homing::{Error, Hint};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The result type of this crate.
pub(crate) type Result<T> = std::result::Result<T, Failed>;

/// Why a call failed.
pub(crate) enum Failed {
    Homing(Error),
    Python(PyErr),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Homing(error)
    }
}

impl From<IdError> for Failed {
    fn from(error: IdError) -> Failed {
        Failed::Homing(error.into())
    }
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Failed {
        Failed::Python(error)
    }
}

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> PyErr {
        match failed {
            Failed::Python(error) => error,
            Failed::Homing(error) => Python::attach(|py| exception(py, &error).unwrap_or_else(|error| error)),
        }
    }
}

/// Converts an error to the exception of `homing.errors`.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let code = match error {
        Error::InvalidDirectory { source, .. } => source.raw_os_error(),
        Error::Disk(error) => error.source.raw_os_error(),
        _ => None,
    };
    let errors = py.import("homing.errors")?;
    let errno = errors.getattr("_number_of")?.call1((code,))?;
    let class = errors.getattr("_for_code")?.call1((error.code(),))?;
    let class = class.cast_into::<PyType>()?;
    let value = class.call1((error.to_string(),))?;
    value.setattr("code", error.code())?;
    value.setattr("hint", error.hint().as_ref().map(format_hint))?;
    value.setattr("errno", errno)?;
    Ok(PyErr::from_value(value))
}

/// Words a hint with Python functions in place of commands and options.
fn format_hint(hint: &Hint) -> String {
    let text = match hint {
        Hint::ListJobs => "Homing.list() returns all jobs",
        Hint::UseJobId => {
            "name a job by its 12-character id or a unique prefix of it; Homing.list() returns all jobs"
        }
        Hint::GiveScript => "give a script, such as \"sleep 5; echo done\"",
        Hint::GiveExistingDirectory => "name an existing directory as cwd",
        Hint::FreeDiskSpace => "the disk is full: Homing.prune() deletes old jobs",
        Hint::InstallProgram => {
            "install the package homing, or name the program with Homing(program=...) or HOMING_SUPERVISOR"
        }
        other => return other.to_string(),
    };
    text.to_owned()
}
