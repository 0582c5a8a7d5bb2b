;; A component around the core module body of a test, which takes the place of BODY below. It exports `wasi:cli/run`, whose
;; function is the body's `run`, and gives the body a little library:
;;   print, eprint (ptr len) · sleep (ms: i64) · exit (0 or 1) · random (len: i64) · args, env () -> (list at ptr)
;; Addresses below 1024 are the library's, those from 64 KiB on the allocator's.
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $err))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $o (sub resource)))
    (alias outer 1 $err (type $e))
    (export "error" (type $error (eq $e)))
    (type $se (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $se)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $o))
    (export "output-stream" (type $output-stream (eq $o)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/stderr@0.2.3" (instance $stderr
    (alias outer 1 $stream (type $o))
    (export "output-stream" (type $output-stream (eq $o)))
    (export "get-stderr" (func (result (own $output-stream))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p))
    (export "pollable" (type $pollable (eq $p)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))

  (core module $mem
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "memory" (core memory $memory))
  (alias core export $mem "realloc" (core func $realloc))

  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $stderr (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $args (canon lower (func $environment "get-arguments") (memory $memory) (realloc $realloc)))
  (core func $env (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
  (core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))

  (core module $lib
    (import "host" "stdout" (func $stdout (result i32)))
    (import "host" "stderr" (func $stderr (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "random" (func $random (param i64 i32)))
    (global $out (mut i32) (i32.const 0))
    (global $err (mut i32) (i32.const 0))
    (func (export "print") (param i32 i32)
      (if (i32.eqz (global.get $out)) (then (global.set $out (call $stdout))))
      (call $write (global.get $out) (local.get 0) (local.get 1) (i32.const 8)))
    (func (export "eprint") (param i32 i32)
      (if (i32.eqz (global.get $err)) (then (global.set $err (call $stderr))))
      (call $write (global.get $err) (local.get 0) (local.get 1) (i32.const 8)))
    (func (export "sleep") (param i64)
      (call $block (call $subscribe (i64.mul (local.get 0) (i64.const 1000000)))))
    (func (export "random") (param i64) (call $random (local.get 0) (i32.const 8))))
  (core instance $lib (instantiate $lib (with "host" (instance
    (export "stdout" (func $stdout)) (export "stderr" (func $stderr)) (export "write" (func $write))
    (export "subscribe" (func $subscribe)) (export "block" (func $block)) (export "random" (func $random))))))

  (core module $main
    (import "mem" "memory" (memory 2))
    (import "lib" "print" (func $print (param i32 i32)))
    (import "lib" "eprint" (func $eprint (param i32 i32)))
    (import "lib" "sleep" (func $sleep (param i64)))
    (import "lib" "random" (func $random (param i64)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "args" (func $args (param i32)))
    (import "host" "env" (func $env (param i32)))
    (;BODY;))
  (core instance $main (instantiate $main
    (with "mem" (instance $mem))
    (with "lib" (instance $lib))
    (with "host" (instance
      (export "exit" (func $exit)) (export "args" (func $args)) (export "env" (func $env))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))
