/// A certificate made on the spot, for a server that was given none.
///
/// A client trusts it by its fingerprint or by having it as `--ca-file`: a self-signed certificate in the store of
/// trust is its own anchor, authority or not. It is none (CA:FALSE), so its key can vouch for nobody else.
package enum SelfSignedCertificate {
    /// A fresh P-256 key and a certificate of it for `names`: host names, and addresses as literals.
    ///
    /// Valid for ten years by default: it is trusted as this one certificate, never by its dates, and nobody renews it.
    /// Expiry would only break a pair of machines long after everyone forgot how they were set up.
    ///
    /// The private key is PKCS #8, unencrypted: whoever writes it to disk sees to the file's mode.
    package static func make(
        names: [String], days: Int = 3_650
    ) throws(TLSConfigurationError) -> (certificatePEM: String, privateKeyPEM: String) {
        let key = PrivateKey.p256()
        let certificate = try IssuedCertificate(CertificateProfile(names: names, validUntil: days), key: key)
        return (certificate.pem, key.pem)
    }
}
