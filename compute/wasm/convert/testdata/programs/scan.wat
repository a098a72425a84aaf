;; Counts the bytes of 64 KiB that are 7, n times.
(module
  (memory 1 1)
  (func (export "run") (param $n i32) (result i64) (local $p i32) (local $c i64)
    (memory.fill (i32.const 1000) (i32.const 7) (i32.const 30000))
    (loop $again
      (local.set $p (i32.const 0))
      (loop $next
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 7))
          (then (local.set $c (i64.add (local.get $c) (i64.const 1)))))
        (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 1))) (i32.const 65536))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $c)))
