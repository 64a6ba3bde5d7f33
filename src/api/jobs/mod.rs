//! What happens to jobs: making, changing, deleting; each a function of the record, or one order of writes.

mod change;
mod draft;
mod records;
mod view;

pub(crate) use self::{
    change::{apply, permits_for, start},
    draft::{check_name, draft},
    records::{by_name, delete, insert},
    view::{instance_view, is_settled, job_view},
};
