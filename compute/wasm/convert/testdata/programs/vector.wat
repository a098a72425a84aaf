;; The same with four single-precision lanes at a time.
(module
  (memory 1 1)
  (func (export "run") (param $n i32) (result i64) (local $p i32)
    (loop $fill
      (f32.store (local.get $p) (f32.convert_i32_u (local.get $p)))
      (br_if $fill (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const 65536))))
    (loop $again
      (local.set $p (i32.const 0))
      (loop $next
        (v128.store (local.get $p) (f32x4.add (f32x4.mul (v128.const f32x4 0.5 0.25 2 1) (v128.load offset=32768 (local.get $p))) (v128.load (local.get $p))))
        (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (i32.const 32768))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load (i32.const 4000))))
