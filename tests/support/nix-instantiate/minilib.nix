# A small module system of our own for checking generated NixOS configuration without nixpkgs.
# Written from the documented behaviour (mkIf, mkMerge, priorities, order, option types); no nixpkgs code in it.
# Unlike nixpkgs it collects every finding instead of stopping at the first.  Runs on Nix 2.8 and later.
#
#   evalModules { modules; tree; specialArgs ? {}; }  ->  { config; errors = [ "..." ]; }
#   tree:  { c = { name = node; }; }  or  { o = { t = TYPE; d = default; D = true; }; }
#   TYPE:  [ "bool" ] [ "str" ] [ "enum" [..] ] [ "nullOr" T ] [ "listOf" T ] [ "attrsOf" T ] [ "oneOf" T T .. ] [ "sub" tree freeform ] ..
let
  inherit (builtins) attrNames attrValues concatMap concatStringsSep elem elemAt filter foldl' head isAttrs isBool isFloat
    isFunction isInt isList isPath isString length listToAttrs map mapAttrs match removeAttrs sort tail toJSON;

  # ---- properties
  prop = k: a: { _p = k; } // a;
  isProp = v: isAttrs v && v ? _p;
  mkIf = cond: v: prop "if" { inherit cond v; };
  mkMerge = l: prop "merge" { inherit l; };
  mkOverride = prio: v: prop "over" { inherit prio v; };
  mkOrder = order: v: prop "order" { inherit order v; };

  isPkg = v: isAttrs v && (v.type or null) == "derivation";
  stringLike = v: isString v || isPath v || (isAttrs v && (v ? outPath || v ? __toString));
  show = v:
    if isFunction v then "<function>" else if isPkg v then "<package>" else if isPath v then toString v
    else if isAttrs v then "{ ${concatStringsSep " " (attrNames v)} }" else if isList v then "[ ${concatStringsSep " " (map show v)} ]"
    else toJSON v;
  typeName = t: let k = head t; in
    if k == "nullOr" then "null or ${typeName (elemAt t 1)}" else if k == "listOf" then "list of ${typeName (elemAt t 1)}"
    else if k == "attrsOf" then "attribute set of ${typeName (elemAt t 1)}" else if k == "enum" then "one of ${show (elemAt t 1)}"
    else if k == "oneOf" then concatStringsSep " or " (map typeName (tail t)) else if k == "sub" then "submodule"
    else if k == "intBetween" then "integer between ${toString (elemAt t 1)} and ${toString (elemAt t 2)}"
    else if k == "strMatching" then "string matching ${elemAt t 1}" else k;

  json = v: v == null || isBool v || isInt v || isFloat v || stringLike v || (isList v && builtins.all json v) || (isAttrs v && builtins.all json (attrValues v));
  # shallow test, enough to choose between alternatives and to judge plain values
  fits = t: v:
    let k = head t; a = elemAt t 1; in
    if k == "bool" then isBool v
    else if k == "int" then isInt v
    else if k == "unsigned" then isInt v && v >= 0
    else if k == "positive" then isInt v && v > 0
    else if k == "intBetween" then isInt v && v >= a && v <= elemAt t 2
    else if k == "float" then isFloat v || isInt v
    else if k == "numPositive" || k == "numNonnegative" then isFloat v || isInt v
    else if k == "str" || k == "lines" || k == "separated" then isString v
    else if k == "nonEmptyStr" then isString v && match "[[:space:]]*" v == null
    else if k == "singleLineStr" then isString v && match "[^\n]*\n?" v != null
    else if k == "strMatching" then isString v && match a v != null
    else if k == "path" then stringLike v && builtins.substring 0 1 (toString v) == "/"
    else if k == "package" then isPkg v || (stringLike v && match "/nix/store/.*" (toString v) != null)
    else if k == "enum" then elem v a
    else if k == "null" then v == null
    else if k == "nullOr" then v == null || fits a v
    else if k == "listOf" then isList v
    else if k == "attrsOf" || k == "attrs" then isAttrs v && !isPkg v
    else if k == "sub" then (isAttrs v && !isPkg v) || isFunction v
    else if k == "oneOf" then builtins.any (x: fits x v) (tail t)
    else if k == "systemdOption" then v == null || isBool v || isInt v || isFloat v || stringLike v || isList v
    else if k == "json" then json v
    else if k == "function" then isFunction v
    else true;
  deepFits = t: v: let k = head t; in
    if !fits t v then false
    else if k == "listOf" then builtins.all (deepFits (elemAt t 1)) v
    else if k == "attrsOf" then builtins.all (deepFits (elemAt t 1)) (attrValues v)
    else if k == "nullOr" then v == null || deepFits (elemAt t 1) v
    else if k == "oneOf" then builtins.any (x: deepFits x v) (tail t)
    else true;

  # ---- definitions: [ { file; value; prio; order; } ]
  # of a plain option: conditions are looked at here
  discharge = d:
    let v = d.value; in
    if !isProp v then [ d ]
    else if v._p == "merge" then concatMap (x: discharge (d // { value = x; })) v.l
    else if v._p == "if" then (if v.cond then discharge (d // { value = v.v; }) else [ ])
    else if v._p == "over" then discharge (d // { value = v.v; inherit (v) prio; })
    else discharge (d // { value = v.v; inherit (v) order; });
  # of a group: conditions are handed down unseen, so that config may be asked for while they are computed
  pushDown = d:
    let v = d.value; wrap = f: map (x: x // { value = mapAttrs (_: f) x.value; }); in
    if !isProp v then [ d ]
    else if v._p == "merge" then concatMap (x: pushDown (d // { value = x; })) v.l
    else if v._p == "if" then wrap (x: mkIf v.cond x) (pushDown (d // { value = v.v; }))
    else if v._p == "over" then wrap (x: mkOverride v.prio x) (pushDown (d // { value = v.v; }))
    else wrap (x: mkOrder v.order x) (pushDown (d // { value = v.v; }));
  strongest = ds:
    let p = foldl' (m: d: if d.prio < m then d.prio else m) 9999 ds; in
    sort (a: b: a.order < b.order) (filter (d: d.prio == p) ds);
  names = l: attrNames (foldl' (s: n: s // { ${n} = true; }) { } l);
  where = ds: concatStringsSep "; " (map (d: "in ${d.file}: ${show d.value}") ds);
  dot = p: concatStringsSep "." p;

  # value of an option or of a part of one: { v; e; }
  merge = p: t: ds0:
    let
      ds = strongest (concatMap discharge ds0);
      k = head t; a = elemAt t 1;
      bad = filter (d: !fits t d.value) ds;
      vals = map (d: d.value) ds;
      conflict = { v = head vals; e = [ "${dot p} is set to different values: ${where ds}" ]; };
    in
    if bad != [ ] then { v = (head bad).value; e = [ "${dot p} is not of type ${typeName t}: ${where bad}" ]; }
    else if k == "nullOr" then
      (if builtins.all (x: x == null) vals then { v = null; e = [ ]; }
      else if builtins.any (x: x == null) vals then conflict
      else merge p a ds)
    else if k == "oneOf" then
      let alt = filter (x: builtins.all (v: deepFits x v) vals) (tail t); alt' = filter (x: builtins.all (v: fits x v) vals) (tail t); in
      if alt != [ ] then merge p (head alt) ds else if alt' != [ ] then merge p (head alt') ds else conflict
    else if k == "listOf" then
      let rs = concatMap (d: imap (i: x: concatMap (y: [ (merge (p ++ [ (toString i) ]) a [ (d // { value = y.value; }) ]) ]) (discharge (d // { value = x; }))) d.value) ds;
        fl = builtins.concatLists rs; in
      { v = map (r: r.v) fl; e = concatMap (r: r.e) fl; }
    else if k == "attrsOf" then mergeAttrs p a ds
    else if k == "sub" then
      let r = group p (if a == null then { } else a) (if length t > 2 then elemAt t 2 else null)
        (foldl' (l: d: [ (d // { value = if isFunction d.value then d.value { config = r.v; name = elemAt p (length p - 1); } else d.value; }) ] ++ l) own ds);
        # what a submodule that a module declares says itself
        own = if length t < 4 then [ ] else [ { file = "<submodule>"; prio = 100; order = 1000; value = (elemAt t 3 { config = r.v; name = elemAt p (length p - 1); inherit lib; }).config or { }; } ];
      in r
    else if k == "lines" then { v = concatStringsSep "\n" vals; e = [ ]; }
    else if k == "separated" then { v = concatStringsSep a vals; e = [ ]; }
    else if k == "systemdOption" then
      (if builtins.any isList vals then { v = concatMap (x: if isList x then x else [ x ]) vals; e = [ ]; }
      else if builtins.all (x: x == head vals) vals then { v = head vals; e = [ ]; } else conflict)
    else if k == "any" && builtins.all (v: isAttrs v && !isPkg v && !(v ? _type)) vals then mergeAttrs p [ "any" ] ds
    else if k == "attrs" then { v = foldl' (x: y: x // y) { } vals; e = [ ]; }
    else if k == "any" && builtins.all isList vals then { v = builtins.concatLists vals; e = [ ]; }
    else if length vals == 1 || builtins.all (x: toJSON x == toJSON (head vals)) vals then { v = head vals; e = [ ]; }
    else conflict;
  imap = f: l: builtins.genList (i: f i (elemAt l i)) (length l);

  mergeAttrs = p: t: ds:
    let
      ps = concatMap pushDown ds;
      per = n: merge (p ++ [ n ]) t (concatMap (d: if d.value ? ${n} then [ (d // { value = d.value.${n}; }) ] else [ ]) ps);
      # a name whose definitions are all switched off is absent
      live = filter (n: concatMap (d: if d.value ? ${n} then discharge (d // { value = d.value.${n}; }) else [ ]) ps != [ ]) (names (concatMap (d: attrNames d.value) ps));
      all = listToAttrs (map (n: { name = n; value = per n; }) live);
    in
    { v = mapAttrs (_: r: r.v) all; e = concatMap (r: r.e) (attrValues all); };

  standIn = p: { _unmodelled = dot p; outPath = "/unmodelled/${dot p}"; };
  # a group of options: { v; e; }
  group = p: node: free: ds:
    let
      kids = node.c or { };
      ps = concatMap pushDown ds;
      of = n: concatMap (d: if d.value ? ${n} then [ (d // { value = d.value.${n}; }) ] else [ ]) ps;
      given = names (concatMap (d: attrNames d.value) ps);
      unknown = filter (n: !(kids ? ${n})) given;
      child = n: c:
        let dd = of n; in
        if c ? o then
          (let live = concatMap discharge dd; in
          if live == [ ] then { v = if c.o ? D then c.o.d else standIn (p ++ [ n ]); e = [ ]; }
          else merge (p ++ [ n ]) c.o.t live)
        else
          (let wrong = filter (d: !isProp d.value && (!isAttrs d.value || isPkg d.value)) dd; in
          if wrong != [ ] then { v = { }; e = [ "${dot (p ++ [ n ])} is a group of options, but is set to a value: ${where wrong}" ]; }
          else group (p ++ [ n ]) c null dd);
      rs = mapAttrs child kids;
      freeR = if free == null then { v = { }; e = map (n: "${dot (p ++ [ n ])} does not exist (${concatStringsSep "; " (map (d: "in ${d.file}") (of n))})") unknown; }
      else mergeAttrs p (if head free == "attrsOf" then elemAt free 1 else [ "any" ]) (map (d: d // { value = removeAttrs d.value (attrNames kids); }) ps);
    in
    { v = mapAttrs (_: r: r.v) rs // freeR.v; e = concatMap (n: if kids ? ${n} then rs.${n}.e else [ ]) given ++ freeR.e; };

  # ---- modules
  # one module: itself opened, and the modules that it imports; `key` tells files that are imported twice
  open = args: file: key: m:
    let
      isFile = isPath m || isString m;
      file' = if isFile then toString m else m._file or file;
      raw = if isFile then import m else m;
      # like nixpkgs: name the arguments the function asks for
      called = if isFunction raw then raw (mapAttrs (n: _: args.${n} or (throw "module argument ${n} in ${file'}")) (builtins.functionArgs raw) // args) else raw;
      full = called ? config || called ? options;
      beside = attrNames (removeAttrs called [ "imports" "options" "config" "_file" "key" "meta" "disabledModules" "freeformType" ]);
    in
    if full && beside != [ ] then throw "${file'}: `${head beside}` stands beside `config` or `options`" else {
      key = if isFile then toString m else key;
      file = file';
      value = if full then called.config or { } else removeAttrs called [ "imports" "options" "config" "_file" "key" "meta" "disabledModules" ];
      options = called.options or { };
      imports = called.imports or [ ];
      prio = 100;
      order = 1000;
    };
  openAll = args: file: key: imap (n: open args file "${key}:${toString n}");
  # each once, level by level
  load = args: file: modules: map (m: removeAttrs m [ "key" "imports" ]) (builtins.genericClosure {
    startSet = openAll args file file modules;
    operator = m: openAll args m.file m.key m.imports;
  });

  # options declared with mkOption by a module of the flake itself
  toTree = o: if o ? _opt then { o = { t = o.type or [ "any" ]; } // (if o ? default then { d = o.default; D = true; } else { }); } else { c = mapAttrs (_: toTree) o; };
  joinTree = a: b: if a ? o || b ? o then a // b else { c = (a.c or { }) // mapAttrs (n: v: if (a.c or { }) ? ${n} then joinTree a.c.${n} v else v) (b.c or { }); };

  evalModules = { modules, tree, specialArgs ? { }, pkgs ? { } }:
    let
      args = { inherit lib pkgs; inherit (r) config; options = fullTree; modulesPath = specialArgs.modulesPath or "/unmodelled"; } // specialArgs;
      # nixpkgs joins definitions of later modules before those of earlier ones
      defs = foldl' (l: d: [ d ] ++ l) [ ] (load args "<inline>" modules);
      fullTree = foldl' joinTree tree (map (d: toTree d.options) defs);
      top = group [ ] fullTree null (map (d: d // { value = dropMeta d.value; }) defs);
      dropMeta = v: if isProp v || !(v ? _module) then v else removeAttrs v [ "_module" ];
      r = { config = top.v; errors = top.e; };
    in
    r;

  types = {
    bool = [ "bool" ]; str = [ "str" ]; int = [ "int" ]; float = [ "float" ]; path = [ "path" ]; package = [ "package" ]; port = [ "intBetween" 0 65535 ];
    lines = [ "lines" ]; attrs = [ "attrs" ]; anything = [ "any" ]; raw = [ "any" ]; unspecified = [ "any" ]; nonEmptyStr = [ "nonEmptyStr" ]; singleLineStr = [ "singleLineStr" ];
    ints = { positive = [ "positive" ]; unsigned = [ "unsigned" ]; between = a: b: [ "intBetween" a b ]; };
    enum = l: [ "enum" l ]; nullOr = t: [ "nullOr" t ]; listOf = t: [ "listOf" t ]; attrsOf = t: [ "attrsOf" t ]; lazyAttrsOf = t: [ "attrsOf" t ];
    either = a: b: [ "oneOf" a b ]; oneOf = l: [ "oneOf" ] ++ l; strMatching = s: [ "strMatching" s ]; separatedString = s: [ "separated" s ];
    submodule = m: let called = if isFunction m then m else (_: m); in [ "sub" (toTree ((called { config = { }; name = "<name>"; inherit lib; }).options or { })) null called ];
  };

  lib = {
    inherit mkIf mkMerge mkOverride mkOrder types;
    mkDefault = mkOverride 1000; mkForce = mkOverride 50; mkVMOverride = mkOverride 10; mkOptionDefault = mkOverride 1500;
    mkBefore = mkOrder 500; mkAfter = mkOrder 1500;
    mkOption = a: a // { _opt = true; };
    mkEnableOption = d: { _opt = true; type = [ "bool" ]; default = false; description = d; };
    literalExpression = s: s; literalMD = s: s;
    inherit (builtins) attrNames attrValues concatLists concatMap elem elemAt filter foldl' genList hasAttr head isAttrs isList isString length listToAttrs map mapAttrs
      readFile replaceStrings stringLength tail toJSON fromJSON all any removeAttrs concatStringsSep substring isInt isBool isPath isFunction intersectAttrs;
    genAttrs = l: f: listToAttrs (map (n: { name = n; value = f n; }) l);
    nameValuePair = name: value: { inherit name value; };
    mapAttrs' = f: s: listToAttrs (map (n: f n s.${n}) (attrNames s));
    mapAttrsToList = f: s: map (n: f n s.${n}) (attrNames s);
    filterAttrs = f: s: removeAttrs s (filter (n: !(f n s.${n})) (attrNames s));
    hasAttrByPath = p: s: p == [ ] || (isAttrs s && s ? ${head p} && lib.hasAttrByPath (tail p) s.${head p});
    optional = c: x: if c then [ x ] else [ ];
    optionals = c: l: if c then l else [ ];
    optionalString = c: s: if c then s else "";
    optionalAttrs = c: s: if c then s else { };
    concatMapStringsSep = s: f: l: concatStringsSep s (map f l);
    concatMapStrings = f: l: concatStringsSep "" (map f l);
    flatten = x: if isList x then concatMap lib.flatten x else [ x ];
    toList = x: if isList x then x else [ x ];
    unique = l: foldl' (s: x: if elem x s then s else s ++ [ x ]) [ ] l;
    imap0 = imap; imap1 = f: imap (i: f (i + 1));
    hasPrefix = a: s: builtins.substring 0 (builtins.stringLength a) s == a;
    hasSuffix = a: s: let n = builtins.stringLength s - builtins.stringLength a; in n >= 0 && builtins.substring n (builtins.stringLength s) s == a;
    escapeShellArg = s: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString s) + "'";
    escapeShellArgs = l: concatStringsSep " " (map lib.escapeShellArg l);
    makeBinPath = l: concatStringsSep ":" (map (x: "${x}/bin") l);
    getExe = p: "${p}/bin/${p.meta.mainProgram or p.pname or "x"}";
    getExe' = p: n: "${p}/bin/${n}";
    recursiveUpdate = a: b: a // mapAttrs (n: v: if isAttrs v && isAttrs (a.${n} or null) && !isPkg v then lib.recursiveUpdate a.${n} v else v) b;
    splitString = sep: s: filter isString (builtins.split (builtins.replaceStrings [ "." "+" "*" "|" "/" ] [ "\\." "\\+" "\\*" "\\|" "/" ] sep) s);
    fileContents = f: let s = builtins.readFile f; n = builtins.stringLength s; in if n > 0 && builtins.substring (n - 1) 1 s == "\n" then builtins.substring 0 (n - 1) s else s;
    importJSON = f: builtins.fromJSON (builtins.readFile f);
    inherit evalModules;
    version = "25.05";
  };
in
lib
