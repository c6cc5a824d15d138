//! Our own bytes of a model: little-endian, fixed layout, nothing executed, every length checked.
//!
//! `VIGIEMDL`, u32 format, u32 kind (1 linear, 2 forest, 3 centroids), u32 link (0 identity, 1 sigmoid,
//! 2 softmax), f64 sigmoid factor (0 when unused), u32 features, u32 outputs; then
//! linear: f64 intercepts, f64 weights output by output;
//! forest: u32 average (0 or 1), u32 trees; per tree u32 nodes, per node u32 feature, u32 kind
//! (bits 0-1: 0 none, 1 zero, 2 NaN; bit 2: default left; 8: category), i32 left, i32 right, then
//! f64 threshold or u32 words and the words; then f64 leaf values, one more than nodes;
//! centroids: u32 centroids, f64 numbers centroid by centroid.

use crate::{
    CATEGORY_WORDS_MAX, Centroids, Error, FEATURES_MAX, Forest, Linear, Link, Missing, Model, NODES_MAX, Node,
    OUTPUTS_MAX, Split, TREES_MAX, Tree,
};

use domain::CLUSTER_OUTPUTS;

const MAGIC: &[u8; 8] = b"VIGIEMDL";
const FORMAT: u32 = 1;
const LINEAR: u32 = 1;
const FOREST: u32 = 2;
const CENTROIDS: u32 = 3;
const DEFAULT_LEFT: u32 = 4;
const CATEGORY: u32 = 8;
/// Bytes of the smallest node: feature, kind, two children, an empty category set.
const NODE_BYTES_MIN: usize = 20;

pub(crate) fn write(model: &Model) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    put(&mut out, FORMAT);
    let kind = match model {
        Model::Linear(_) => LINEAR,
        Model::Forest(_) => FOREST,
        Model::Centroids(_) => CENTROIDS,
    };
    put(&mut out, kind);
    let (link, factor) = match model.link() {
        Link::Identity => (0, 0.0),
        Link::Sigmoid { factor } => (1, factor),
        Link::Softmax => (2, 0.0),
    };
    put(&mut out, link);
    put_f64(&mut out, factor);
    put(&mut out, model.feature_count() as u32);
    put(&mut out, model.outputs() as u32);
    match model {
        Model::Linear(linear) => {
            let numbers = linear.intercepts.iter().chain(linear.weights.iter().flatten());
            numbers.for_each(|&number| put_f64(&mut out, number));
        }
        Model::Forest(forest) => {
            put(&mut out, u32::from(forest.average()));
            put(&mut out, forest.trees().len() as u32);
            forest.trees().iter().for_each(|tree| write_tree(&mut out, tree));
        }
        Model::Centroids(centroids) => {
            put(&mut out, centroids.count() as u32);
            centroids.numbers().iter().for_each(|&number| put_f64(&mut out, number));
        }
    }
    out
}

fn write_tree(out: &mut Vec<u8>, tree: &Tree) {
    put(out, tree.nodes().len() as u32);
    for node in tree.nodes() {
        put(out, node.feature);
        let kind = match &node.split {
            Split::Numeric { missing, default_left, .. } => {
                let missing = match missing {
                    Missing::None => 0,
                    Missing::Zero => 1,
                    Missing::Nan => 2,
                };
                missing | if *default_left { DEFAULT_LEFT } else { 0 }
            }
            Split::Category { .. } => CATEGORY,
        };
        put(out, kind);
        out.extend_from_slice(&node.left.to_le_bytes());
        out.extend_from_slice(&node.right.to_le_bytes());
        match &node.split {
            Split::Numeric { threshold, .. } => put_f64(out, *threshold),
            Split::Category { set } => {
                put(out, set.len() as u32);
                set.iter().for_each(|&word| put(out, word));
            }
        }
    }
    tree.leaves().iter().for_each(|&value| put_f64(out, value));
}

fn put(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_f64(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn read(bytes: &[u8]) -> Result<Model, Error> {
    let mut reader = Reader { rest: bytes };
    let magic: [u8; 8] = reader.array("magic")?;
    if &magic != MAGIC {
        return Err(Error::bytes(format!("magic is {magic:02x?}, expected {MAGIC:02x?}")));
    }
    let format = reader.u32("format")?;
    if format != FORMAT {
        return Err(Error::bytes(format!("format is {format}, expected {FORMAT}")));
    }
    let kind = reader.u32("kind")?;
    let link = reader.link()?;
    let features = reader.count("features", FEATURES_MAX, 0)?;
    let outputs = reader.count("outputs", OUTPUTS_MAX, 0)?;
    let model = match kind {
        LINEAR => {
            let intercepts = reader.numbers("intercepts", outputs)?;
            let weights: Result<_, Error> = (0..outputs).map(|_| reader.numbers("weights", features)).collect();
            Model::Linear(Linear::new(link, weights?, intercepts)?)
        }
        FOREST => {
            let average = reader.u32("average")?;
            if average > 1 {
                return Err(Error::bytes(format!("average is {average}, expected 0 or 1")));
            }
            let trees = reader.trees()?;
            Model::Forest(Forest::new(link, features, outputs, average == 1, trees)?)
        }
        CENTROIDS => {
            if (link, outputs) != (Link::Identity, CLUSTER_OUTPUTS) {
                let found = format!("centroids have link {link:?} and {outputs} outputs");
                return Err(Error::bytes(format!("{found}, expected Identity and {CLUSTER_OUTPUTS}")));
            }
            let count = reader.count("centroids", OUTPUTS_MAX, 8)?;
            Model::Centroids(Centroids::new(features, reader.numbers("centroids", count * features)?)?)
        }
        _ => {
            let expected = "1 (linear), 2 (forest) or 3 (centroids)";
            return Err(Error::bytes(format!("kind is {kind}, expected {expected}")));
        }
    };
    match reader.rest.len() {
        0 => Ok(model),
        left => Err(Error::bytes(format!("{left} bytes follow the model, expected none"))),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, what: &str, length: usize) -> Result<&'a [u8], Error> {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            let found = self.rest.len();
            return Err(Error::bytes(format!("{what} has {found} bytes left, expected {length}")));
        };
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(what, N)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A count within its bound, of things of at least `bytes_min` bytes each that are still there.
    fn count(&mut self, what: &str, limit: usize, bytes_min: usize) -> Result<usize, Error> {
        let count = self.u32(what)? as usize;
        if count > limit {
            return Err(Error::bytes(format!("{what} is {count}, expected at most {limit}")));
        }
        match count.checked_mul(bytes_min) {
            Some(needed) if needed <= self.rest.len() => Ok(count),
            _ => Err(Error::bytes(format!("{what} is {count}, expected to fit the {} bytes left", self.rest.len()))),
        }
    }

    /// Sliced before allocating, so that no count asks for more than the file has.
    fn numbers(&mut self, what: &str, count: usize) -> Result<Vec<f64>, Error> {
        let length = count.checked_mul(8).ok_or_else(|| Error::bytes(format!("{what} count is {count}")))?;
        let (chunks, _) = self.bytes(what, length)?.as_chunks::<8>();
        Ok(chunks.iter().map(|&chunk| f64::from_le_bytes(chunk)).collect())
    }

    fn link(&mut self) -> Result<Link, Error> {
        let link = self.u32("link")?;
        let factor = f64::from_le_bytes(self.array("sigmoid factor")?);
        match link {
            1 => Ok(Link::Sigmoid { factor }),
            _ if factor.to_bits() != 0 => Err(Error::bytes(format!("sigmoid factor is {factor}, expected 0"))),
            0 => Ok(Link::Identity),
            2 => Ok(Link::Softmax),
            _ => Err(Error::bytes(format!("link is {link}, expected 0, 1 or 2"))),
        }
    }

    fn trees(&mut self) -> Result<Vec<Tree>, Error> {
        // The smallest tree is a node count and one leaf value.
        let count = self.count("trees", TREES_MAX, 12)?;
        let mut trees = Vec::with_capacity(count);
        for _ in 0..count {
            let nodes = self.count("nodes", NODES_MAX, NODE_BYTES_MIN)?;
            let nodes: Vec<Node> = (0..nodes).map(|_| self.node()).collect::<Result<_, _>>()?;
            let leaves = self.numbers("leaf values", nodes.len() + 1)?;
            trees.push(Tree::new(nodes, leaves)?);
        }
        Ok(trees)
    }

    fn node(&mut self) -> Result<Node, Error> {
        let feature = self.u32("feature")?;
        let kind = self.u32("node kind")?;
        let left = i32::from_le_bytes(self.array("left child")?);
        let right = i32::from_le_bytes(self.array("right child")?);
        let missing = match kind {
            CATEGORY => {
                let words = self.count("category words", CATEGORY_WORDS_MAX, 4)?;
                let (chunks, _) = self.bytes("category words", words * 4)?.as_chunks::<4>();
                let set = chunks.iter().map(|&chunk| u32::from_le_bytes(chunk)).collect();
                return Ok(Node { feature, split: Split::Category { set }, left, right });
            }
            0 | 4 => Missing::None,
            1 | 5 => Missing::Zero,
            2 | 6 => Missing::Nan,
            _ => return Err(Error::bytes(format!("node kind is {kind}, expected 0 to 2, 4 to 6 or 8"))),
        };
        let threshold = f64::from_le_bytes(self.array("threshold")?);
        let default_left = kind & DEFAULT_LEFT != 0;
        Ok(Node { feature, split: Split::Numeric { threshold, missing, default_left }, left, right })
    }
}
