//! What went missing of an installed rollup: who tells of it, and that `rollup install` puts it back.

use super::rig::Place;

fn insert(place: &Place) {
    place.sql("INSERT INTO usage (id, task_id, at, model, tokens) SELECT max(id) + 1, 1, '2026-01-01T12:00:00Z', 'lost', 9 FROM usage");
}

/// A trigger of the source, away.
fn without_trigger(place: &Place) {
    let drop = "DROP TRIGGER usage_hourly_source_insert";
    place.sql(&if place.is_file() { drop.to_owned() } else { format!("{drop} ON usage") });
}

#[test]
fn an_installation_that_is_whole_is_nothing_to_do() {
    for place in Place::both("", "") {
        place.taken(&[]);
        let catalogue = place.catalogue();
        for _ in 0..2 {
            let told = place.told(&place.rig.ok(&["rollup", "install", "usage"]));
            assert!(told.contains("installed already in") && told.contains("nothing to do"), "{told}");
            assert_eq!(place.catalogue(), catalogue);
        }
    }
}

#[test]
fn r15_another_declaration_is_refused_towards_the_change() {
    for place in Place::both("", "") {
        place.taken(&[]);
        place.configure(&[("grain = \"hour\"", "grain = \"day\"")]);
        let told = place.refuses(&["rollup", "install", "usage"]);
        assert!(told.contains("error[HW-ROL-016]") && told.contains("installed with another `grain`"), "{told}");
        assert!(told.contains("next: `highwater rollup change usage`"), "{told}");
    }
}

#[test]
fn r07_a_trigger_that_was_dropped_is_told_put_back_and_what_was_lost_is_repaired() {
    for place in Place::both("", "") {
        let name = if place.is_file() { "file" } else { "server" };
        place.taken(&[]);
        without_trigger(&place);
        insert(&place);
        let doctor = place.rig.run(&["doctor"]);
        let lines: Vec<&str> = doctor.stdout.lines().skip_while(|line| !line.contains("rollup ")).take(2).collect();
        insta::assert_snapshot!(format!("doctor_of_a_dropped_trigger_{name}"), lines.join("\n"));
        let diff = place.rig.run(&["rollup", "diff", "usage"]);
        assert_eq!(diff.code, 4, "{diff:?}");
        insta::assert_snapshot!(format!("diff_of_a_dropped_trigger_{name}"), place.told(&diff));
        let halted = place.rig.run(&["run", "usage", "--tick"]);
        assert_eq!(halted.code, 4, "{halted:?}");

        let back = place.rig.run(&["rollup", "install", "usage"]);
        assert_eq!(back.code, 4, "{back:?}");
        insta::assert_snapshot!(format!("put_back_{name}"), place.told(&back));
        assert_eq!(place.rig.run(&["run", "usage", "--tick"]).code, 4, "it is not proved yet");
        assert_eq!(place.rig.run(&["verify", "usage"]).code, 4);
        let repaired = place.rig.run(&["verify", "usage", "--repair"]);
        assert!(matches!(repaired.code, 0 | 3 | 4), "{repaired:?}");
        place.rig.ok(&["rearm", "usage", "--why", "repaired"]);
        place.drain();
        let again = place.rig.ok(&["rollup", "install", "usage"]);
        assert!(again.stdout.contains("nothing to do"), "{again:?}");
    }
}

#[test]
fn r07_a_put_back_without_a_pass_before_it_leaves_a_job_that_says_so() {
    for place in Place::both("", "") {
        place.taken(&[]);
        without_trigger(&place);
        insert(&place);
        assert_eq!(place.rig.run(&["--json", "rollup", "install", "usage"]).code, 4);
        for _ in 0..2 {
            let pass = place.rig.run(&["run", "usage"]);
            assert_eq!(pass.code, 4, "{pass:?}");
        }
        let status = place.rig.run(&["status", "usage"]).stdout;
        assert!(status.contains("trigger usage_hourly_source_insert "), "{status}");
    }
}

#[test]
fn an_index_that_was_dropped_is_put_back_and_nothing_was_lost() {
    for place in Place::both("", "") {
        place.taken(&[]);
        place.sql("DROP INDEX usage_hourly_cell; DROP INDEX usage_hourly_event");
        let back = place.rig.ok(&["rollup", "install", "usage"]);
        for sentence in ["index usage_hourly_cell was missing", "index usage_hourly_event was missing"] {
            assert!(back.stdout.contains(sentence) && !back.stdout.contains("lost"), "{back:?}");
        }
        insert(&place);
        place.drain();
    }
}
