use super::Trust;

#[test]
fn debug_says_what_is_trusted() {
    let pinned = Trust::pinned([[7; 32], [8; 32]]).unwrap();
    assert_eq!(format!("{pinned:?}"), "Trust::pinned(2 pins)");
    assert_eq!(format!("{:?}", Trust::system()), "Trust::system");
}
