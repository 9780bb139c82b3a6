//! File systems that other machines may work in, too.

use std::os::fd::AsFd;

/// Whether other machines may work in the folder, too. Their locks may or may not be known here: NFS and
/// SMB leave that to how they are mounted, and FUSE to each file system.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(folder: impl AsFd) -> bool {
    /// NFS, SMB (old, CIFS and SMB2), 9p, FUSE, Ceph, AFS (two), Coda, NCP, Lustre, GFS2, OCFS2, GPFS.
    const REMOTE: [u32; 15] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x00c3_6400,
        0x5346_414f,
        0x6b41_4653,
        0x7375_7245,
        0x564c,
        0x0bd0_0bd0,
        0x0116_1970,
        0x7461_636f,
        0x4750_4653,
    ];
    // The numbers have 32 bits; how the system's own type widens them differs.
    let kind = rustix::fs::fstatfs(folder).map(|facts| facts.f_type);
    kind.is_ok_and(|kind| {
        let low = i128::from(kind) & 0xffff_ffff;
        REMOTE.iter().any(|remote| i128::from(*remote) == low)
    })
}

/// Whether other machines may work in the folder, too.
#[cfg(target_os = "macos")]
pub(super) fn is_remote(folder: impl AsFd) -> bool {
    const LOCAL: u32 = 0x1000;
    rustix::fs::fstatfs(folder).is_ok_and(|facts| facts.f_flags & LOCAL == 0)
}

/// Whether other machines may work in the folder, too.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn is_remote(_: impl AsFd) -> bool {
    false
}
