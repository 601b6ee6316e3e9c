//! Shippers: where they work, and under which name.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::ByteSize;
use highwater_episodes::name::HostId;
use highwater_episodes::ship::{Keeping, Place, Receiver, Shelves, ShipSettings, certificate_name};

use crate::config::{Config, JobConfig};

/// Where a job works.
///
/// # Errors
/// A certificate that cannot be used, or a machine whose name cannot be a host's.
pub(crate) fn place(config: &Config, job: &JobConfig, settings: &ShipSettings) -> Result<Place, Diagnosis> {
    let host = match &settings.host_id {
        Some(host) => host.clone(),
        None => match of_certificate(settings) {
            Some(host) => host,
            None => {
                machine_name().map_err(|diagnosis| diagnosis.in_file(&config.file).at_field(field(job, "host-id")))?
            }
        },
    };
    let resource = job.settings.resources.first().expect("invariant: every job has a resource").clone();
    let receiver = Receiver::new(settings, host, resource)
        .map_err(|(of, diagnosis)| diagnosis.in_file(&config.file).at_field(field(job, of)))?;
    Ok(Place {
        receiver,
        shelves: Shelves { episodes: settings.episodes.to_path_buf(), shipped: settings.shipped.to_path_buf() },
        outbox: settings.outbox.to_path_buf(),
        compression: settings.compression.clone(),
        resume_above_bytes: settings.resume_above.bytes(),
        keeping: Keeping {
            time: settings.keep_time.map(Into::into),
            size_bytes: settings.keep_size.map(ByteSize::bytes),
            by: settings.keep_by,
        },
        code_commit: settings.code_commit.clone(),
    })
}

fn field(job: &JobConfig, of: &str) -> String {
    format!("job.{}.{of}", job.name)
}

/// The name in the certificate: that of the host to which the receiver lets it write. One that cannot be read is told of where it is used.
fn of_certificate(settings: &ShipSettings) -> Option<HostId> {
    certificate_name(settings.tls.certificate.as_ref()?).ok().flatten()
}

fn machine_name() -> Result<HostId, Diagnosis> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    HostId::new(&name).map_err(|error| {
        Diagnosis::refusal(
            "HW-EPI-105",
            format!("the machine's name cannot be the host's: {error}"),
            "name the host in `host-id`",
        )
    })
}
