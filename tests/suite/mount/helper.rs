//! mount(8), with fstab(5) and its helpers: `mount.aiozfs`, a link to the program, and mount.fuse3(8). Each test has
//! mounts, helpers and a home directory of its own (unshare(1)). Needs /dev/fuse and the package fuse3.

use std::fs;

use crate::common::fault::FaultNode;
use crate::common::run::{self, Finished};
use crate::common::tree::TempDir;
use crate::common::{archives, needs, tree};

/// Prepares the system that the scripts below see: /sbin has only the helpers in it, and the home
/// directory is empty. mount(8) removes HOME and PATH from the environment of the helpers.
const SYSTEM: &str = r#"
    # Copies of the mounts of other tests, which may end or be busy meanwhile.
    awk '/ - fuse\.aiozfs / { print $5 }' /proc/self/mountinfo | tac | while read -r copy; do
        umount --no-canonicalize --lazy "$copy" 2> /dev/null || :
    done
    mkdir "$DIR/sbin" "$DIR/home" "$DIR/m"
    ln -s "$AIOZFS" "$DIR/sbin/aiozfs"
    ln -s "$AIOZFS" "$DIR/sbin/mount.aiozfs"
    cp /sbin/mount.fuse3 "$DIR/sbin/"
    ln -s mount.fuse3 "$DIR/sbin/mount.fuse"
    home=$(getent passwd "$(id -u)" | cut -d: -f6)
    mount --bind "$DIR/home" "$home"
    mount --bind "$DIR/sbin" /sbin
    cd "$DIR"
    unset HOME XDG_CONFIG_HOME XDG_CACHE_HOME
"#;

/// Runs a script in such a system, as its root. `$DIR` is the current directory and has the archive
/// `a.zip` in it, whose file `a.txt` says "content"; `$NODE` is a URL without a path that serves it
/// under any path, and its blocks.
pub(super) fn run_apart(script: &str) -> (TempDir, Finished) {
    needs::fuse();
    for tool in ["mount", "getent"] {
        needs::tool(tool);
    }
    let (source, dir) = (tree::temp(), tree::temp());
    tree::write(source.path(), "a.txt", b"content\n");
    let archive = dir.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let blob = fs::read(&archive).expect("the archive");
    let (cid, blocks) = crate::common::gateways::import(&blob);
    let node = FaultNode::with_blocks(blob, blocks);
    let mut unshare = run::tool("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "sh", "-euc", &format!("{SYSTEM}{script}")]);
    unshare
        .env("AIOZFS", run::AIOZFS)
        .env("DIR", dir.path())
        .env("NODE", node.base())
        .env("CID", cid.to_string())
        .env_remove("AIOZFS_CACHE_DIR");
    let done = run::run(&mut unshare);
    (dir, done)
}

/// mount(8) compares the sources in fstab with those in the kernel's table of mounts, which have no
/// login, no query and no scheme of a CID, and knows no names of the configuration. For these it
/// called the helper again, which failed: the directory was mounted.
#[test]
fn mount_a_twice_succeeds_for_every_kind_of_source() {
    let (dir, done) = run_apart(
        r#"
        mkdir -p home/.config/aiozfs
        printf '[archive.film]\nsource = "%s/film.zip?sig=1"\n[gateway.near]\nurl = "%s"\n' \
            "$NODE" "$NODE" > home/.config/aiozfs/config.toml
        cp a.zip 'b, c.zip'
        host=${NODE#http://}
        number=0
        for source in "$DIR/a.zip" ./a.zip "$DIR/b,\\040c.zip" \
            "$NODE/a.zip" "$NODE/a.zip?sig=1&x=2" "http://joe:s3cret@$host/a.zip" \
            "$CID" "ipfs://$CID" "/ipfs/$CID" "$NODE/ipfs/$CID" id:film-7 film
        do
            number=$((number + 1))
            mkdir "m/$number"
            printf "%s aiozfs defaults,nofail,x-systemd.automount 0 0\n" "$source $DIR/m/$number" >> fstab
        done
        mkdir m/fuse
        echo "$NODE/a.zip?fuse $DIR/m/fuse fuse.aiozfs defaults 0 0" >> fstab
        mount -a -T fstab
        mount -a -T fstab
        for point in m/*; do
            cat "$point/a.txt"
            [ "$(grep -c " $DIR/$point fuse.aiozfs " /proc/mounts)" = 1 ]
        done
        ! grep -E 's3cret|sig=' /proc/mounts
        # Another source is another one.
        sed -i 's/sig=1&x=2/sig=2/' fstab
        ! mount -a -T fstab 2> said
        grep -q 'is already mounted' said
        for point in m/*; do "$AIOZFS" umount "$point"; done
        "#,
    );
    let done = done.ok("mount -a");
    assert_eq!(done.stdout, "content\n".repeat(13), "{}", done.stderr);
    assert_eq!(done.stderr, "");
    // The cache was found without HOME, in the home directory.
    assert!(dir.path().join("home/.cache/aiozfs").is_dir());
}

#[test]
fn the_types_aiozfs_and_fuse_aiozfs_mount_by_every_helper() {
    let (_dir, done) = run_apart(
        r#"
        check() {
            cat m/a.txt
            stat -c %a m/a.txt
            "$AIOZFS" umount m
        }
        url=$NODE/a.zip?sig=1
        mount -t aiozfs -n -o noauto,user,x-a=b,umask=0777 "$url" m && check
        # By mount.fuse3, which has a shell run the program.
        mount -t fuse.aiozfs -o ro,noatime,umask=0777 "$url" m && check
        mount -t fuse -o umask=0777 "aiozfs#$url" m && check
        ln -s "$AIOZFS" sbin/mount.fuse.aiozfs
        mount -t fuse.aiozfs -o umask=0777 "$url" m && check
        # As it is called where it is found by its name alone.
        PATH=$DIR/sbin:$PATH mount.aiozfs ./a.zip m -n -o rw,umask=0777 && check
        "#,
    );
    let done = done.ok("mount -t");
    assert_eq!(done.stdout, "content\n0\n".repeat(5), "{}", done.stderr);
    assert_eq!(done.stderr, "");
}

/// With the exit codes that mount(8) lists, and a reason.
#[test]
fn mount_fails_with_its_exit_codes_and_a_reason() {
    let (_dir, done) = run_apart(
        r#"
        fails() {
            wanted=$1
            shift
            code=0
            mount "$@" 2> said || code=$?
            [ "$code" = "$wanted" ] || { echo "$*: $code"; cat said; exit 1; }
        }
        fails 32 -t aiozfs ./missing.zip m
        grep -q 'not found' said
        fails 1 -t aiozfs -o frobnicate ./a.zip m
        grep -q frobnicate said
        mount -t aiozfs -s -o frobnicate ./a.zip m
        fails 1 -t aiozfs -o remount,noexec ./a.zip m
        grep -q 'cannot be changed' said
        cat m/a.txt
        "$AIOZFS" umount m
        mount -f -t aiozfs ./a.zip m
        ! cat m/a.txt
        "#,
    );
    assert_eq!(done.ok("mount").stdout, "content\n");
}

/// The command itself, asked by hand for what is there.
#[test]
fn mounting_the_same_source_again_succeeds_and_another_fails() {
    let (_dir, done) = run_apart(
        r#"
        "$AIOZFS" mount "$NODE/a.zip?sig=1" m
        "$AIOZFS" mount "$NODE/a.zip?sig=1" m 2> said
        grep -q 'nothing to do' said
        ! "$AIOZFS" mount "$NODE/a.zip?sig=2" m 2> /dev/null
        ! "$AIOZFS" mount "$NODE/a.zip" m 2> /dev/null
        ! "$AIOZFS" mount --foreground "$NODE/a.zip?sig=1" m 2> /dev/null
        [ "$(grep -c " $DIR/m fuse.aiozfs " /proc/mounts)" = 1 ]
        "$AIOZFS" umount m
        "#,
    );
    done.ok("aiozfs mount");
}

/// Every option that mount(8), systemd, file managers or libfuse may pass, through mount(8) itself.
#[test]
fn options_of_other_programs_go_through_mount() {
    const OPTIONS: [&str; 40] = [
        "rw",
        "ro",
        "defaults",
        "sync",
        "async",
        "dirsync",
        "lazytime",
        "nolazytime",
        "relatime",
        "strictatime",
        "noatime",
        "nodiratime",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "noexec",
        "exec",
        "silent",
        "loud",
        "nofail",
        "auto",
        "noauto",
        "user",
        "users",
        "group",
        "owner",
        "_netdev",
        "comment=a note",
        "comment=\"a,b=c\"",
        "x-systemd.automount",
        "x-systemd.idle-timeout=10",
        "x-gvfs-hide",
        "X-mount.mkdir",
        "context=\"system_u:object_r:container_file_t:s0:c1,c2\"",
        "subtype=zip",
        "auto_unmount",
        "max_read=131072",
        "shared",
        "nosymfollow",
    ];
    let list = OPTIONS.map(|option| format!("'{option}'")).join(" ");
    let (_dir, done) = run_apart(&format!(
        r#"
        for option in {list}; do
            mount -t aiozfs -o "$option" ./a.zip m 2> said || {{ echo "$option"; cat said; exit 1; }}
            [ ! -s said ] || {{ echo "$option says"; cat said; }}
            [ "$(cat m/a.txt)" = content ] || echo "$option: no content"
            umount m
        done
        # All at once, as one line of fstab.
        echo "$DIR/a.zip $DIR/m aiozfs {all} 0 0" > fstab
        mount -T fstab -a
        cat m/a.txt
        umount m
        "#,
        all = "rw,sync,lazytime,nofail,user,_netdev,x-systemd.automount,comment=x,fsname=film,subtype=zip,auto_unmount",
    ));
    assert_eq!(done.ok("mount -o").stdout, "content\n");
}

#[test]
fn findmnt_and_umount_a_find_the_mounts() {
    let (_dir, done) = run_apart(
        r#"
        mkdir m2
        mount -t aiozfs -o fsname=film ./a.zip m
        mount -t aiozfs "$NODE/a.zip?sig=s3cret" m2
        findmnt -n -o FSTYPE,SOURCE -T m
        findmnt -n -o FSTYPE,SOURCE -M "$DIR/m2" | sed "s|$NODE|NODE|"
        findmnt -n -t fuse.aiozfs -o TARGET | grep -c "$DIR/m"
        findmnt -n -o OPTIONS m | tr , '\n' | grep -cxE 'ro|nosuid|nodev|noatime'
        umount -a -t fuse.aiozfs
        ! grep "$DIR/m" /proc/mounts
        # By hand, writing is asked for in vain.
        "$AIOZFS" mount -o rw ./a.zip m 2>&1
        "$AIOZFS" umount m
        "#,
    );
    let done = done.ok("findmnt");
    let lines: Vec<String> = done
        .stdout
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines[..4],
        ["fuse.aiozfs film", "fuse.aiozfs NODE/a.zip", "2", "4"],
        "{done:?}"
    );
    assert_eq!(
        lines[4],
        "aiozfs: warning: option 'rw' has no effect: a mount is read-only"
    );
    assert_eq!(lines.len(), 5);
}

/// A connection that an administrator aborts leaves a dead mount behind, unless its process unmounts it.
#[test]
fn aborted_connections_leave_no_dead_mount() {
    let (_dir, done) = run_apart(
        r#"
        connections=/sys/fs/fuse/connections
        mountpoint -q $connections || mount -t fusectl fusectl $connections
        mount -t aiozfs ./a.zip m
        cat m/a.txt
        echo 1 > "$connections/$(awk -v m="$DIR/m" '$5 == m { sub("0:", "", $3); print $3 }' /proc/self/mountinfo)/abort"
        for try in $(seq 100); do
            grep -q " $DIR/m " /proc/self/mountinfo || exit 0
            sleep 0.1
        done
        exit 1
        "#,
    );
    assert_eq!(done.ok("abort").stdout, "content\n");
}
