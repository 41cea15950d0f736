//! Errors of the library as Python exceptions. The classes are in `homing/errors.py`.

use homing::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Shorthand for what functions of this module return.
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

impl From<homing::core::IdError> for Failed {
    fn from(error: homing::core::IdError) -> Failed {
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

/// The exception that `homing.errors` has for an error.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let errno = match error {
        Error::InvalidDirectory { source, .. } => source.raw_os_error(),
        Error::Disk(error) => error.source.raw_os_error(),
        _ => None,
    };
    let class = py.import("homing.errors")?.getattr("for_code")?.call1((error.code(),))?;
    let class = class.cast_into::<PyType>()?;
    let value = class.call1((error.to_string(),))?;
    value.setattr("code", error.code())?;
    value.setattr("hint", error.hint())?;
    value.setattr("errno", errno)?;
    Ok(PyErr::from_value(value))
}
