//! `aiozfs cat`: the bytes of the archive, also if the reader of the pipe goes away.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use super::{Way, aiozfs, on, packed, printed, refused};
use crate::common::fault::{Behaviour, FaultNode};
use crate::common::run::{self, run};
use crate::common::{archives, tree};

#[test]
fn cat_prints_the_packed_bytes() {
    let source = tree::sample();
    let files: Vec<_> = tree::names(source.path())
        .into_iter()
        .filter(|name| source.path().join(name).is_file())
        .collect();
    let names: Vec<&str> = files.iter().map(|f| f.to_str().expect("UTF-8")).collect();
    let contents = files.iter().map(|f| fs::read(source.path().join(f)));
    let expected = contents.map(|c| c.expect("a file")).collect::<Vec<_>>();
    for (what, make) in archives::STORED {
        let (_out, archive) = packed(source.path(), make);
        let mut args = vec!["cat", &archive];
        args.extend(&names);
        assert_eq!(
            tree::differs(&expected.concat(), &printed(&args)),
            None,
            "{what}"
        );
    }
    let (_out, archive) = packed(source.path(), archives::bsdtar);
    for way in Way::ALL {
        let reached = way.reach(Path::new(&archive));
        let got = printed(&on("cat", &reached, &names));
        assert_eq!(tree::differs(&expected.concat(), &got), None, "{way:?}");
    }
}

#[test]
fn cat_prints_playlists_as_stored() {
    let source = tree::temp();
    tree::write(source.path(), "s_0.ts", &tree::bytes(1, 5000));
    let text = "#EXTM3U\n#EXTINF:4,\ns_0.ts?range=36,5000\n";
    tree::write(source.path(), "v.m3u8", text.as_bytes());
    let (_out, archive) = packed(source.path(), archives::zipfile);
    assert_eq!(printed(&["cat", &archive, "v.m3u8"]), text.as_bytes());
}

/// One entry of `mib` MiB of zeroes, which is a hole in the file.
fn sparse(out: &Path, mib: u64) {
    let script = r#"
import zlib
huge = info('huge')
huge.header_offset, huge.CRC = z.fp.tell(), 0
huge.file_size = huge.compress_size = MIB << 20
for _ in range(MIB):
    huge.CRC = zlib.crc32(bytes(1 << 20), huge.CRC)
z.fp.write(huge.FileHeader())
z.fp.truncate(z.fp.tell() + huge.file_size)
z.fp.seek(0, 2)
z.filelist.append(huge)
z.NameToInfo[huge.filename] = huge
z.start_dir = z.fp.tell()
z._didModify = True
"#;
    archives::scripted(out, &script.replace("MIB", &mib.to_string()));
}

#[test]
fn memory_is_bounded_whatever_the_size() {
    const MIB: u64 = 600;
    let out = tree::temp();
    let archive = out.path().join("sparse.zip");
    sparse(&archive, MIB);
    let mut command = run::aiozfs();
    command.args(["cat", "--memory", "16M"]).arg(&archive);
    command.arg("huge").stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary under test");
    let mut pipe = child.stdout.take().expect("piped");
    let mut buffer = vec![1; 1 << 20];
    for _ in 0..MIB - 1 {
        pipe.read_exact(&mut buffer).expect("bytes");
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("/proc");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.expect("a line").trim().trim_end_matches(" kB");
    let peak: u64 = peak.parse().expect("a number");
    assert!(peak < (16 + 64) << 10, "{peak} kB");
    let rest = pipe.read_to_end(&mut Vec::new()).expect("the rest");
    assert_eq!(rest, 1 << 20);
    assert!(child.wait().expect("its end").success());
}

#[test]
fn a_closed_pipe_succeeds_and_a_full_disk_fails() {
    let source = tree::sample();
    let (_out, archive) = packed(source.path(), archives::zipfile);
    for command in ["cat", "ls -R", "ls --json"] {
        let path = if command == "cat" {
            "dir/seg_0000.ts"
        } else {
            ""
        };
        // Nothing reads it: the first write of all finds the pipe closed.
        let line = format!(
            "{} {command} {archive} {path} | true; echo ${{PIPESTATUS[0]}}",
            run::AIOZFS
        );
        let mut bash = run::tool("bash");
        let ended = run(bash.args(["-c", &line]));
        assert_eq!((&*ended.stdout, &*ended.stderr), ("0\n", ""), "{command}");

        let line = format!("{} {command} {archive} {path} > /dev/full", run::AIOZFS);
        let mut bash = run::tool("bash");
        let ended = run(bash.args(["-c", &line]));
        assert_eq!(ended.code(), Some(1), "{command}");
        assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    }
}

#[test]
fn a_wrong_byte_is_an_error_unless_verification_is_off() {
    let source = tree::temp();
    let content = tree::bytes(3, 2_000_000);
    tree::write(source.path(), "a.bin", &content);
    tree::write(source.path(), "z.bin", &tree::bytes(4, 500_000));
    let (out, archive) = packed(source.path(), archives::zipfile);
    let mut bytes = fs::read(&archive).expect("the archive");
    let at = bytes.windows(64).position(|w| w == &content[..64]);
    bytes[at.expect("the file") + 1_000_000] ^= 1;
    fs::write(&archive, bytes).expect("a file");
    let checked = aiozfs(&["cat", "--verify", "crc", &archive, "a.bin"]);
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("a.bin") && said.contains("CRC-32"), "{said}");
    let believed = printed(&["cat", "--verify", "none", &archive, "a.bin"]);
    assert_eq!(believed.len(), content.len());
    drop(out);
}

#[test]
fn a_server_that_stops_in_the_middle_is_an_error() {
    let source = tree::temp();
    tree::write(source.path(), "a.bin", &tree::bytes(3, 3_000_000));
    tree::write(source.path(), "z.bin", &tree::bytes(4, 500_000));
    let (_out, archive) = packed(source.path(), archives::zipfile);
    let node = FaultNode::start(fs::read(archive).expect("the archive"));
    let url = format!("http://joe:s3cret@{}/archive.zip", node.addr);
    node.behave(Behaviour::StallAfter(200_000));
    let said = refused(&["cat", "--timeout", "1s", &url, "a.bin"]);
    assert!(!said.contains("s3cret"), "{said}");
    node.behave(Behaviour::Good);
    assert_eq!(printed(&["cat", &url, "a.bin"]).len(), 3_000_000);
    let said = refused(&["cat", &url, "none"]);
    assert!(!said.contains("s3cret") && said.contains("none"), "{said}");
}
