;; Sorts 1,000 pseudo-random numbers by insertion, n times: short inner loops with
;; branches that are hard to predict.
(module
  (memory 1 1)
  (func (export "run") (param $n i32) (result i64) (local $i i32) (local $j i32) (local $v i32) (local $seed i32)
    (local.set $seed (i32.const 12345))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $fill
        (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1103515245)) (i32.const 12345)))
        (i32.store (local.get $i) (local.get $seed))
        (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 4000))))
      (local.set $i (i32.const 4))
      (loop $next
        (local.set $v (i32.load (local.get $i)))
        (local.set $j (local.get $i))
        (block $placed
          (loop $move
            (br_if $placed (i32.eqz (local.get $j)))
            (br_if $placed (i32.le_s (i32.load (i32.sub (local.get $j) (i32.const 4))) (local.get $v)))
            (i32.store (local.get $j) (i32.load (i32.sub (local.get $j) (i32.const 4))))
            (local.set $j (i32.sub (local.get $j) (i32.const 4)))
            (br $move)))
        (i32.store (local.get $j) (local.get $v))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 4000))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load offset=2000 (i32.const 0))))
