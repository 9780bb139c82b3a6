# Many small paths with real references, for the tests. References go to lower numbers only: no circles.
# The words between at signs are replaced by numbers.
let
  texts = builtins.genList (i: builtins.toFile "text-${toString i}.txt"
    (if i == 0 then "the first\n" else ''
      text ${toString i}
      ${builtins.elemAt texts (i / 2)}
      ${builtins.elemAt texts (i - 1)}
    '')) @TEXTS@;
  number = i: "o${toString i}";
  all = builtins.genList number @OUTPUTS@;
  folders = suffix: builtins.concatStringsSep " " (map (name: ''"${"$"}${name}${suffix}"'') all);
  line = i:
    if i / 11 * 11 == i then ''echo the same everywhere > "$o${toString i}/same"'' else ''
      d="$o${toString i}"
      printf '#!/bin/sh\necho ${toString i}\n' > "$d/bin/tool"
      printf 'ä %s\n' "$o${toString (i / 2)}" > "$d/share/a b/größe"
      ln -s "$o${toString (i - 1)}/bin/tool" "$d/bin/other"
      printf '%${toString (1000 + i * i)}s' x > "$d/share/blob"
      ${if i / 7 * 7 == i then ''echo "$d" > "$d/share/self"'' else ""}
    '';
  plain = builtins.filter (i: i / 11 * 11 != i) (builtins.genList (i: i + 1) (@OUTPUTS@ - 1));
  tools = builtins.concatStringsSep " " (map (i: ''"$o${toString i}/bin/tool"'') plain);
  each = suffix: builtins.concatStringsSep " " (map (i: ''"$o${toString i}${suffix}"'') plain);
  script = builtins.toFile "builder.sh" (''
    PATH=/usr/bin:/bin
    mkdir ${folders ""} "$out"
    mkdir ${each "/bin"} ${each "/empty"} ${each "/share"}
    mkdir ${each "/share/a b"}
    echo zero > "$o0/zero"
  '' + builtins.concatStringsSep "\n" (map line (builtins.genList (i: i + 1) (@OUTPUTS@ - 1))) + ''

    chmod +x ${tools}
    for each in $everything; do eval "echo \"\$$each\""; done > "$out/outputs"
    echo ${builtins.elemAt texts (@TEXTS@ - 1)} > "$out/texts"
  '');
in derivation {
  name = "population";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ script ];
  outputs = [ "out" ] ++ all;
  everything = all;
}
