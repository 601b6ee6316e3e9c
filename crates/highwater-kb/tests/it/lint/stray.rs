//! What lies where nothing of the base lies.

use super::*;

#[test]
fn what_lies_among_the_generations_and_is_none_is_told() {
    let desk = Desk::new();
    let stray = ".highwater/objects/generation-0000000020";
    desk.write(stray, "somebody's");
    for verify in [false, true] {
        assert_eq!(told(&desk.look_into(verify)), [format!("{stray} foreign")]);
    }
    // One of the next number is an attempt at it.
    desk.remove(stray);
    desk.write(".highwater/objects/generation-0000000004", "{}");
    assert_eq!(told(&desk.look()), Vec::<String>::new());
}
