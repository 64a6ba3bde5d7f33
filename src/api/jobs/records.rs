//! The order of writes by which jobs come and go, so that a crash between any two of them does no harm.

use uuid::Uuid;

use crate::{
    api::records::{Stored, is_surely_absent, job_key, load, name_key, remove, save},
    store::{Store, StoreError},
    wire::job::Job,
};

/// A job by its full name. A name whose job is gone, left by a crash, is no job.
pub(crate) async fn by_name(store: &dyn Store, fqn: &str) -> Result<Option<Stored<Job>>, StoreError> {
    match load::<Uuid>(store, &name_key(fqn)).await? {
        Some(uuid) => load(store, &job_key(uuid.value)).await,
        None => Ok(None),
    }
}

/// Writes a new job. [`StoreError::Conflict`] when its name is taken.
///
/// The job is written first and then the name that makes it reachable; deleting goes the other way. So a name
/// without a job belongs to no one and may be taken over.
pub(crate) async fn insert(store: &dyn Store, job: &Job) -> Result<(), StoreError> {
    save(store, &job_key(job.uuid), None, job).await?;
    let claimed = claim(store, job).await;
    if claimed.is_err() {
        remove(store, &job_key(job.uuid)).await?;
    }
    claimed
}

async fn claim(store: &dyn Store, job: &Job) -> Result<(), StoreError> {
    let key = name_key(&job.fqn);
    let holder = load::<Uuid>(store, &key).await?;
    if let Some(holder) = &holder
        && !is_surely_absent(store, &job_key(holder.value)).await?
    {
        return Err(StoreError::Conflict(key));
    }
    save(store, &key, holder.map(|it| it.revision), &job.uuid).await?;
    Ok(())
}

/// Deletes a job and then its name, if the name is still this job's. Whatever is gone already is well.
pub(crate) async fn delete(store: &dyn Store, uuid: Uuid, fqn: &str) -> Result<(), StoreError> {
    remove(store, &job_key(uuid)).await?;
    let key = name_key(fqn);
    let Some(holder) = load::<Uuid>(store, &key).await?.filter(|it| it.value == uuid) else { return Ok(()) };
    match store.delete(&key, holder.revision).await {
        // Another job of that name has been made meanwhile: it is not ours to delete.
        Err(StoreError::Conflict(_)) => Ok(()),
        other => other,
    }
}
