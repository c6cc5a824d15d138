//! Golden scores of LightGBM 4.7.0, the kernel against the row-wise reference, damaged bytes.
//!
//! `testdata/*.txt` and `*.scores` were made by `lightgbm.train` (num_leaves 7, deterministic,
//! one thread) on 600 seeded rows of six f32 features with NaN, zeros and two categorical columns,
//! `predict(rows, raw_score=True)` and `predict(rows)`; rows hold NaN, ±inf, ±0, ±1e-35, huge
//! values and, for ten splits, the threshold and both its f32 neighbours.
//! A line is: features as f32 bits | raw scores as f64 bits | outputs.

use crate::{Error, Forest, Linear, Link, Missing, Model, Node, Split, Tree, lightgbm};
use domain::FeatureMatrix;

const CASES: [(&str, &str, &str); 4] = [
    ("binary", include_str!("testdata/binary.txt"), include_str!("testdata/binary.scores")),
    ("multiclass", include_str!("testdata/multiclass.txt"), include_str!("testdata/multiclass.scores")),
    ("regression", include_str!("testdata/regression.txt"), include_str!("testdata/regression.scores")),
    ("rf", include_str!("testdata/rf.txt"), include_str!("testdata/rf.scores")),
];

/// A small generator (splitmix64), so that a failing seed is a number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn value(&mut self) -> f32 {
        const SPECIAL: [f32; 12] =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-35, -1e-35, 1e-40, 0.5, 1.0, -0.5, 33.0];
        if self.below(3) == 0 { SPECIAL[self.below(SPECIAL.len())] } else { self.below(2000) as f32 / 100.0 - 10.0 }
    }
}

fn matrix(rows: &[Vec<f32>]) -> FeatureMatrix {
    let columns = (0..rows[0].len()).map(|c| rows.iter().map(|r| r[c]).collect()).collect();
    FeatureMatrix::new(rows.len(), columns).unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn raw_scores_equal_those_of_lightgbm_bit_for_bit() {
    for (name, text, scores) in CASES {
        let (mut rows, mut raw, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for line in scores.lines() {
            let parts: Vec<&str> = line.split(" | ").collect();
            rows.push(parts[0].split(' ').map(|h| f32::from_bits(u32::from_str_radix(h, 16).unwrap())).collect());
            raw.extend(parts[1].split(' ').map(|h| f64::from_bits(u64::from_str_radix(h, 16).unwrap())));
            outputs.extend(parts[2].split(' ').map(|v| v.parse::<f64>().unwrap()));
        }
        if name == "rf" {
            // LightGBM's raw score of a random forest is the sum; it divides before the link.
            raw.iter_mut().for_each(|sum| *sum /= 5.0);
        }
        let model = lightgbm::parse(text).unwrap();
        let features = matrix(&rows);
        let (mut found, mut predicted) = (Vec::new(), Vec::new());
        model.raw(&features, &mut found).unwrap();
        model.predict(&features, &mut predicted).unwrap();
        let first = found.iter().zip(&raw).position(|(f, e)| f.to_bits() != e.to_bits());
        assert_eq!(first, None, "{name}: {found:?}");
        assert_eq!(found.len(), raw.len());
        for (place, (f, e)) in predicted.iter().zip(&outputs).enumerate() {
            assert!((f - e).abs() <= 1e-15 * e.abs().max(1.0), "{name} output {place}: {f}, expected {e}");
        }
    }
}

fn random_tree(random: &mut Random, features: usize, nodes: usize) -> Tree {
    let mut tree: Vec<Node> = Vec::new();
    // As LightGBM grows: a leaf becomes a node, its left child keeps the leaf, the right is new.
    for index in 0..nodes {
        let split = match random.below(4) {
            0 => Split::Category { set: (0..random.below(3)).map(|_| random.next() as u32).collect() },
            kind => Split::Numeric {
                threshold: f64::from(random.value()).max(-1e300) + [0.0, 1e-9, -1e-9][random.below(3)],
                missing: [Missing::None, Missing::Zero, Missing::Nan][kind - 1],
                default_left: random.below(2) == 0,
            },
        };
        let split = match split {
            Split::Numeric { threshold, missing, default_left } if threshold.is_nan() => {
                Split::Numeric { threshold: 0.25, missing, default_left }
            }
            split => split,
        };
        let leaf = random.below(index + 1) as i32;
        for node in &mut tree {
            for child in [&mut node.left, &mut node.right] {
                if *child == !leaf {
                    *child = index as i32;
                }
            }
        }
        tree.push(Node { feature: random.below(features) as u32, split, left: !leaf, right: !(index as i32 + 1) });
    }
    let leaves = (0..=nodes).map(|_| f64::from(random.below(1_000_000) as u32) / 7.0 - 70_000.0).collect();
    Tree::new(tree, leaves).unwrap()
}

fn random_forest(random: &mut Random) -> Forest {
    let (features, outputs) = (1 + random.below(6), 1 + random.below(3));
    let trees = (0..outputs * (1 + random.below(6)))
        .map(|_| {
            let nodes = [0, 1, 5, 30, 31, 32, 63, 64, 200][random.below(9)];
            random_tree(random, features, nodes)
        })
        .collect();
    let link = if outputs > 1 { Link::Softmax } else { Link::Sigmoid { factor: 0.001 } };
    Forest::new(link, features, outputs, random.below(2) == 0, trees).unwrap()
}

#[test]
fn the_kernel_equals_the_row_wise_reference_whatever_the_batch() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let forest = random_forest(&mut random);
        let features = forest.feature_count();
        let rows: Vec<Vec<f32>> = (0..300).map(|_| (0..features).map(|_| random.value()).collect()).collect();
        let expected = bits(&forest.raw_by_row(&matrix(&rows)));
        let model = Model::Forest(forest);
        for size in [1, 15, 16, 17, 128, 129, 300] {
            let mut found = Vec::new();
            rows.chunks(size).for_each(|chunk| model.raw(&matrix(chunk), &mut found).unwrap());
            assert!(bits(&found) == expected, "seed {seed}, batches of {size}");
        }
    }
}

#[test]
fn many_large_category_sets_are_walked_once_their_tables_are_full() {
    let mut random = Random(7);
    let tree = |random: &mut Random| {
        let split = Split::Category { set: (0..128).map(|_| random.next() as u32).collect() };
        let value = random.below(1000) as f64;
        Tree::new(vec![Node { feature: 0, split, left: -1, right: -2 }], vec![value, -value]).unwrap()
    };
    let trees: Vec<Tree> = (0..600).map(|_| tree(&mut random)).collect();
    let forest = Forest::new(Link::Identity, 1, 1, false, trees).unwrap();
    let rows: Vec<Vec<f32>> = (0..200).map(|_| vec![random.below(5000) as f32 - 200.0]).collect();
    let expected = bits(&forest.raw_by_row(&matrix(&rows)));
    let mut found = Vec::new();
    Model::Forest(forest).raw(&matrix(&rows), &mut found).unwrap();
    assert_eq!(bits(&found), expected);
}

#[test]
fn a_chain_of_nodes_deeper_than_the_kernel_steps_is_walked() {
    let nodes = 5000;
    let split = |i| Split::Numeric { threshold: i as f64, missing: Missing::Nan, default_left: false };
    let node =
        |i: i32| Node { feature: 0, split: split(i), left: !i, right: if i + 1 < nodes { i + 1 } else { !nodes } };
    let tree = Tree::new((0..nodes).map(node).collect(), (0..=nodes).map(f64::from).collect()).unwrap();
    let model = Model::Forest(Forest::new(Link::Identity, 1, 1, false, vec![tree]).unwrap());
    let rows: Vec<Vec<f32>> = (0..40).map(|i| vec![i as f32 * 130.5]).collect();
    let mut found = Vec::new();
    model.raw(&matrix(&rows), &mut found).unwrap();
    let expected: Vec<f64> = (0..40).map(|i| (f64::from(i) * 130.5).ceil().min(5000.0)).collect();
    assert_eq!(found, expected);
}

#[test]
fn linear_models_equal_hand_computed_values() {
    let features = FeatureMatrix::new(2, vec![vec![1.0, -2.0], vec![0.5, 4.0]]).unwrap();
    let predict = |link, weights, intercepts| {
        let mut out = vec![7.0];
        Model::Linear(Linear::new(link, weights, intercepts).unwrap()).predict(&features, &mut out).unwrap();
        out
    };
    assert_eq!(predict(Link::Identity, vec![vec![2.0, -4.0]], vec![0.25]), [7.0, 0.25, -19.75]);
    let sigmoid = predict(Link::Sigmoid { factor: 1.0 }, vec![vec![2.0, -4.0]], vec![0.0]);
    assert_eq!(sigmoid[1], 0.5);
    let two = vec![vec![1.0, 0.0], vec![1.0, 2.0]];
    // exp(0) / (exp(0) + exp(1)): 0.2689414213699951.
    let softmax = predict(Link::Softmax, two, vec![0.0, 0.0]);
    assert!((softmax[1] - 0.268_941_421_369_995_1).abs() < 1e-16 && (softmax[1] + softmax[2] - 1.0).abs() < 1e-16);
    assert_eq!(softmax.len(), 5);
}

#[test]
fn wrong_parts_are_refused_by_name() {
    let check = |result: Result<(), Error>, words: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    let linear = |weights, intercepts| Linear::new(Link::Identity, weights, intercepts).map(drop);
    check(linear(vec![vec![f64::NAN]], vec![0.0]), "weight NaN");
    check(linear(vec![vec![1.0]], vec![0.0, 1.0]), "1 weight rows and 2 intercepts");
    check(Linear::new(Link::Softmax, vec![vec![1.0]], vec![0.0]).map(drop), "softmax over 1");
    let node = |left, right| Node {
        feature: 0,
        split: Split::Numeric { threshold: 0.0, missing: Missing::Nan, default_left: true },
        left,
        right,
    };
    check(Tree::new(vec![node(0, -1)], vec![1.0, 2.0]).map(drop), "child of node 0 is 0");
    check(Tree::new(vec![node(-1, -1)], vec![1.0, 2.0]).map(drop), "child of node 0 is -1");
    check(Tree::new(vec![node(-1, 7)], vec![1.0, 2.0]).map(drop), "child of node 0 is 7");
    check(Tree::new(vec![node(-1, i32::MIN)], vec![1.0, 2.0]).map(drop), "child of node 0");
    let islands = vec![node(-1, -2), node(2, -3), node(1, -4)];
    check(Tree::new(islands, vec![1.0; 4]).map(drop), "1 of 3 nodes");
    let tree = Tree::new(vec![node(-1, -2)], vec![1.0, 2.0]).unwrap();
    let model = Model::Forest(Forest::new(Link::Identity, 1, 1, false, vec![tree]).unwrap());
    check(model.predict(&FeatureMatrix::default(), &mut Vec::new()), "0 columns, expected 1");
}

#[test]
fn lightgbm_files_we_do_not_evaluate_are_refused_with_line_and_reason() {
    let text = CASES[0].1;
    let cases = [
        ("objective=binary sigmoid:1.5", "objective=poisson", "objective is `poisson`"),
        ("objective=binary sigmoid:1.5", "objective=regression sqrt", "objective is `regression sqrt`"),
        ("objective=binary sigmoid:1.5", "objective=multiclass num_class:3", "3 classes, expected 1"),
        ("is_linear=0", "is_linear=1", "linear trees are not supported"),
        ("num_leaves=7", "num_leaves=0", "`num_leaves` is 0"),
        ("num_leaves=7", "num_leaves=8", "has 7 numbers, expected 8"),
        ("num_leaves=7", "num_leaves=18446744073709551615", "expected 18446744073709551615"),
        ("max_feature_idx=5", "max_feature_idx=0", "expected one below 1"),
        ("max_feature_idx=5", "max_feature_idx=18446744073709551615", "expected at most"),
        ("left_child=", "left_child=x ", "`left_child` has `x`"),
        ("Tree=1", "Tree=2", "tree number is `2`, expected 1"),
        ("end of trees", "", "stops before `end of trees`"),
        ("tree\n", "forest\n", "first line is `forest`"),
        ("decision_type=", "decision_type=12 ", "has 7 numbers, expected 6"),
        ("cat_boundaries=0 ", "cat_boundaries=9 ", "sets"),
    ];
    for (from, to, words) in cases {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text, "{from}");
        let message = lightgbm::parse(&changed).unwrap_err().to_string();
        assert!(message.contains(words) && message.starts_with("lightgbm model, line "), "{from} -> {to}: {message}");
    }
}

#[test]
fn bytes_come_back_as_the_same_model_and_damage_never_panics() {
    let mut random = Random(11);
    let mut models: Vec<Model> = CASES.iter().map(|case| lightgbm::parse(case.1).unwrap()).collect();
    models.push(Model::Linear(
        Linear::new(Link::Softmax, vec![vec![1.5, -2.0], vec![0.0, 1e300]], vec![0.1, 0.2]).unwrap(),
    ));
    models.push(Model::Forest(random_forest(&mut random)));
    for model in &models {
        assert_eq!(Model::from_bytes(&model.to_bytes()).as_ref(), Ok(model));
        let mut longer = model.to_bytes();
        longer.push(0);
        assert!(Model::from_bytes(&longer).is_err());
    }
    let rows: Vec<Vec<f32>> = (0..20).map(|_| (0..6).map(|_| random.value()).collect()).collect();
    let mut read = 0;
    for round in 0..10_000 {
        let mut bytes = models[round % models.len()].to_bytes();
        if random.below(4) == 0 {
            let length = random.below(bytes.len());
            bytes.truncate(length);
            assert!(Model::from_bytes(&bytes).is_err(), "round {round}");
            continue;
        }
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            bytes[place] ^= 1 << random.below(8);
        }
        // A flip in a number makes another valid model, which must still be safe to evaluate.
        if let Ok(model) = Model::from_bytes(&bytes)
            && model.feature_count() == 6
        {
            read += 1;
            model.predict(&matrix(&rows), &mut Vec::new()).unwrap();
        }
    }
    assert!(read > 100, "{read} damaged files still read: too few to have tested anything");
}

#[test]
fn damaged_lightgbm_text_never_panics() {
    let mut random = Random(5);
    for round in 0..3000 {
        let mut bytes = CASES[round % 4].1.as_bytes().to_vec();
        let place = random.below(bytes.len());
        bytes[place] = b"0123456789-=. \nea"[random.below(17)];
        if random.below(8) == 0 {
            bytes.truncate(place);
        }
        if let Ok(model) = lightgbm::parse(std::str::from_utf8(&bytes).unwrap()) {
            let features = vec![vec![0.5; model.feature_count()]; 20];
            model.predict(&matrix(&features), &mut Vec::new()).unwrap();
        }
    }
}
