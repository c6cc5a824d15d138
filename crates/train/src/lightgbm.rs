//! The few calls of LightGBM's C API that training needs, made safe.
//!
//! The published wrapper passes an empty parameter string where binning happens, so that neither
//! categorical features nor the number of bins can be set; hence this one.
#![allow(unsafe_code)]

use crate::Error;
use domain::FeatureMatrix;
use lightgbm3_sys as sys;
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

#[allow(clippy::cast_possible_wrap)]
const FLOAT32: i32 = sys::C_API_DTYPE_FLOAT32 as i32;
const GAIN: i32 = 1;

/// Turns a return code into an error with the library's own words.
fn done(call: &'static str, code: i32) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: returns a pointer to a NUL-terminated buffer of the calling thread, never null.
    let text = unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) };
    Err(Error::Trainer { family: call, detail: text.to_string_lossy().into_owned() })
}

fn text(call: &'static str, value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|e| Error::Trainer { family: call, detail: e.to_string() })
}

fn size(call: &'static str, value: usize) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| Error::Trainer {
        family: call,
        detail: format!("{value} rows or columns, expected at most {}", i32::MAX),
    })
}

/// Column by column in one buffer, as the library reads it.
fn flat(features: &FeatureMatrix) -> Vec<f32> {
    let mut out = Vec::with_capacity(features.rows() * features.columns().len());
    for column in features.columns() {
        out.extend_from_slice(column);
    }
    out
}

/// Binned features and labels. Boosters borrow it.
#[derive(Debug)]
pub(crate) struct Dataset {
    handle: sys::DatasetHandle,
    columns: usize,
}

impl Dataset {
    /// Bins a matrix; `parameters` are blank-separated `key=value`.
    pub(crate) fn new(features: &FeatureMatrix, labels: &[f32], parameters: &str) -> Result<Self, Error> {
        const CALL: &str = "LGBM_DatasetCreateFromMat";
        let (rows, columns) = (size(CALL, features.rows())?, size(CALL, features.columns().len())?);
        if labels.len() != features.rows() {
            let detail = format!("{} labels for {} rows", labels.len(), features.rows());
            return Err(Error::Trainer { family: CALL, detail });
        }
        let data = flat(features);
        let parameters = text(CALL, parameters)?;
        let mut handle: sys::DatasetHandle = null_mut();
        // SAFETY: `data` holds rows × columns floats column by column (`flat`), as the arguments say,
        // and is read only during the call; the string is NUL-terminated; `handle` is written.
        let code = unsafe {
            sys::LGBM_DatasetCreateFromMat(
                data.as_ptr().cast::<c_void>(),
                FLOAT32,
                rows,
                columns,
                0,
                parameters.as_ptr(),
                null_mut(),
                &raw mut handle,
            )
        };
        done(CALL, code)?;
        let dataset = Self { handle, columns: features.columns().len() };
        // SAFETY: the handle was just made; `labels` holds `rows` floats and is copied by the call.
        let code = unsafe {
            sys::LGBM_DatasetSetField(
                dataset.handle,
                c"label".as_ptr(),
                labels.as_ptr().cast::<c_void>(),
                rows,
                FLOAT32,
            )
        };
        done("LGBM_DatasetSetField", code)?;
        Ok(dataset)
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and freed once; boosters, which borrow it, are gone.
        unsafe { sys::LGBM_DatasetFree(self.handle) };
    }
}

/// A model in training.
#[derive(Debug)]
pub(crate) struct Booster<'d> {
    handle: sys::BoosterHandle,
    columns: usize,
    dataset: PhantomData<&'d Dataset>,
}

impl<'d> Booster<'d> {
    pub(crate) fn new(dataset: &'d Dataset, parameters: &str) -> Result<Self, Error> {
        const CALL: &str = "LGBM_BoosterCreate";
        let parameters = text(CALL, parameters)?;
        let mut handle: sys::BoosterHandle = null_mut();
        // SAFETY: the data set outlives the booster by the lifetime; `handle` is written.
        done(CALL, unsafe { sys::LGBM_BoosterCreate(dataset.handle, parameters.as_ptr(), &raw mut handle) })?;
        Ok(Self { handle, columns: dataset.columns, dataset: PhantomData })
    }

    /// Adds a tree (one per class); true when no further split helps.
    pub(crate) fn update(&mut self) -> Result<bool, Error> {
        let mut finished = 0;
        // SAFETY: the handle is ours; `finished` is written.
        done("LGBM_BoosterUpdateOneIter", unsafe { sys::LGBM_BoosterUpdateOneIter(self.handle, &raw mut finished) })?;
        Ok(finished != 0)
    }

    /// The model in LightGBM's text format.
    pub(crate) fn model_text(&self) -> Result<String, Error> {
        const CALL: &str = "LGBM_BoosterSaveModelToString";
        let mut buffer = vec![0_u8; 1 << 20];
        loop {
            let mut needed = 0_i64;
            let room = i64::try_from(buffer.len()).unwrap_or(i64::MAX);
            // SAFETY: at most `room` bytes are written to the buffer, which has that many.
            let code = unsafe {
                sys::LGBM_BoosterSaveModelToString(
                    self.handle,
                    0,
                    -1,
                    GAIN,
                    room,
                    &raw mut needed,
                    buffer.as_mut_ptr().cast::<c_char>(),
                )
            };
            done(CALL, code)?;
            let needed = usize::try_from(needed).unwrap_or(0);
            if needed <= buffer.len() {
                buffer.truncate(needed.saturating_sub(1));
                return String::from_utf8(buffer).map_err(|e| Error::Trainer { family: CALL, detail: e.to_string() });
            }
            buffer.resize(needed, 0);
        }
    }

    /// Total gain of the splits of each feature.
    pub(crate) fn gains(&self) -> Result<Vec<f64>, Error> {
        let mut gains = vec![0.0; self.columns];
        // SAFETY: one number per feature of the data set is written, for which there is room.
        let code = unsafe { sys::LGBM_BoosterFeatureImportance(self.handle, 0, GAIN, gains.as_mut_ptr()) };
        done("LGBM_BoosterFeatureImportance", code)?;
        Ok(gains)
    }

    /// Raw scores by the library itself, row by row: what our own evaluation is tested against.
    #[cfg(test)]
    pub(crate) fn raw_scores(&self, features: &FeatureMatrix, outputs: usize) -> Result<Vec<f64>, Error> {
        const CALL: &str = "LGBM_BoosterPredictForMat";
        let (rows, columns) = (size(CALL, features.rows())?, size(CALL, features.columns().len())?);
        let data = flat(features);
        let mut out = vec![0.0; features.rows() * outputs];
        let mut written = 0_i64;
        // SAFETY: as in `Dataset::new`; rows × outputs numbers are written, for which there is room.
        let code = unsafe {
            sys::LGBM_BoosterPredictForMat(
                self.handle,
                data.as_ptr().cast::<c_void>(),
                FLOAT32,
                rows,
                columns,
                0,
                1,
                0,
                -1,
                c"num_threads=1".as_ptr(),
                &raw mut written,
                out.as_mut_ptr(),
            )
        };
        done(CALL, code)?;
        Ok(out)
    }
}

impl Drop for Booster<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and freed once.
        unsafe { sys::LGBM_BoosterFree(self.handle) };
    }
}
