//! A component authority for tests.

use gatehouse::link::{Credentials, Role};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};

/// An authority that signs whatever it is asked to.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }
    }

    /// Chain and key of a certificate with these names, good until a year.
    pub(crate) fn certificate(&self, names: Vec<SanType>, until: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("component");
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// What a component of the cluster `demo` has.
    pub(crate) fn credentials(&self, role: Role, id: &str) -> Credentials {
        let (chain, key) = self.certificate(vec![uri(&format!("gatehouse://demo/{role}/{id}"))], 4000);
        Credentials::from_pem(&chain, &key, &self.pem).unwrap()
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn named(name: &str) -> DistinguishedName {
    let mut res = DistinguishedName::new();
    res.push(DnType::CommonName, name);
    res
}
