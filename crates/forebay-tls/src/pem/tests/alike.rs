//! A bad file is refused with the same words as an identity and as roots.

use forebay_io::ErrorKind;
use rcgen::KeyPair;

use crate::samples::{Authority, Directory, assert_hides, pem};
use crate::{Identity, Trust};

/// Returns the error texts, without the name of the call, of each call that reads a file or bytes. None of
/// them shows the key.
#[track_caller]
fn said(content: &[u8], key_pem: &str) -> Vec<String> {
    let directory = Directory::new();
    let path = directory.write("some.pem", content);
    let of_file = [
        Identity::from_pem_files(&path, &path).unwrap_err(),
        Trust::roots_pem_file(&path).unwrap_err(),
        Trust::system_plus_pem_file(&path).unwrap_err(),
    ];
    let of_bytes = [
        Identity::from_pem(content).unwrap_err(),
        Trust::roots_pem(content).unwrap_err(),
        Trust::system_plus_pem(content).unwrap_err(),
    ];
    for error in &of_file {
        assert_eq!(error.address(), path.to_str(), "{error}");
        assert_hides(&format!("{error}{error:?}"), key_pem);
    }
    let all = of_file.into_iter().chain(of_bytes).map(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_hides(&format!("{error}{error:?}"), key_pem);
        let message = error.to_string();
        message.split_once("invalid argument: ").unwrap().1.to_owned()
    });
    all.collect()
}

#[test]
fn identities_and_roots_are_refused_in_the_same_words() {
    let leaf = Authority::new("the root").issue(&["localhost"]);
    let key = &leaf.key_pem;
    let broken = leaf.pem.replacen("-----\nMII", "-----\nM*I", 1);
    let request = leaf.pem.replace(" CERTIFICATE-", " CERTIFICATE REQUEST-");
    let trusted = leaf.pem.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-");
    let cases: [(&[u8], &str); 10] = [
        (b"", "this is not PEM but empty; was it written completely?"),
        (b" \n\n", "this is not PEM but blank; was it written completely?"),
        (key.as_bytes(), "there is no certificate in it, only 1 private key; one stands between"),
        (b"hello", "this is not PEM but something else; a section in PEM begins with a line"),
        (&leaf.der, "this is not PEM but a certificate in DER; `openssl x509 -inform der"),
        (&leaf.key_der, "this is not PEM but a private key in DER; `openssl pkey -inform der"),
        (&leaf.pem.as_bytes()[..leaf.pem.len() / 2], "it has no END line, so the text was cut off"),
        (broken.as_bytes(), "a section \"CERTIFICATE\" is damaged: its content is not base64"),
        (request.as_bytes(), "\"CERTIFICATE REQUEST\"; one stands between"),
        (trusted.as_bytes(), "`openssl x509 -in FILE -out NEW` leaves the trust settings out"),
    ];
    for (content, words) in cases {
        let said = said(content, key);
        assert!(said[0].contains(words), "{}\nlacks {words}", said[0]);
        assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
    }
}

#[test]
fn a_bad_certificate_among_good_ones_is_told_by_its_number() {
    let leaf = Authority::new("the root").issue(&["localhost"]);
    let content = format!("{}{}{}", leaf.pem, pem(b"not a certificate"), leaf.key_pem);
    let said = said(content.as_bytes(), &leaf.key_pem);
    assert!(said[0].contains("certificate 2 of 2 is something else; make it anew"), "{}", said[0]);
    assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
}

/// A fault of a root that only the verifier finds: its key usage occurs twice.
#[test]
fn a_root_that_contradicts_itself_is_refused() {
    let root = Authority::root_with("the root", |params| {
        let usage = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 1, 6]);
        params.custom_extensions.extend([usage.clone(), usage]);
    });
    let error = Trust::roots_pem(root.pem()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("certificate 1 of 1 is damaged inside; make"), "{error}");
}

#[test]
fn roots_may_stand_among_other_sections() {
    let root = Authority::new("the root");
    let key = KeyPair::generate().unwrap();
    let text = format!("\u{feff}words\n{}{}{}", key.serialize_pem(), root.pem(), root.pem());
    let trust = Trust::roots_pem(text).unwrap();
    assert_eq!(format!("{trust:?}"), "Trust::roots(2 roots)");
}

/// A text that consists of BEGIN lines only is not repeated as a whole.
#[test]
fn of_many_other_sections_a_few_are_named() {
    let section = "-----BEGIN MANY-----\n-----END MANY-----\n";
    let error = Trust::roots_pem(section.repeat(10_000)).unwrap_err();
    assert!(error.to_string().contains("a section \"MANY\" and 9992 more"), "{error}");
    assert!(error.to_string().len() < 600, "{error}");
}
