;; Grows a table by 64 KiB, then by a number that overflows, over and over: an account that gave the overflow back
;; would let it grow without end.
(component
  (core module $m
    (table $t i64 0 funcref)
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const 64))
      (loop $again
        (if (i64.eq (table.grow $t (ref.null func) (i64.const 8192)) (i64.const -1)) (then unreachable))
        (drop (table.grow $t (ref.null func) (i64.const -1)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $m (instantiate $m))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))
