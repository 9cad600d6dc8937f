"""In what order things happen: optimisers, schedules, the training loop, scores."""

from minilora.train.history import EpochRecord as EpochRecord
from minilora.train.history import History as History
from minilora.train.history import StepRecord as StepRecord
from minilora.train.loop import fit as fit
from minilora.train.metrics import Score as Score
from minilora.train.metrics import Scores as Scores
from minilora.train.metrics import accuracy as accuracy
from minilora.train.metrics import class_scores as class_scores
from minilora.train.metrics import confusion_matrix as confusion_matrix
from minilora.train.metrics import entity_scores as entity_scores
from minilora.train.optim import SGD as SGD
from minilora.train.optim import AdamW as AdamW
from minilora.train.optim import Optimizer as Optimizer
from minilora.train.optim import clip_grad_norm_ as clip_grad_norm_
from minilora.train.optim import decay_groups as decay_groups
from minilora.train.parallel import map_shards as map_shards
from minilora.train.parallel import thread_count as thread_count
from minilora.train.scoring import ClassPrediction as ClassPrediction
from minilora.train.scoring import TagPrediction as TagPrediction
from minilora.train.scoring import evaluate as evaluate
from minilora.train.scoring import predict as predict
from minilora.train.settings import TrainSettings as TrainSettings
from minilora.train.state import TrainerState as TrainerState
from minilora.train.step import loss_and_gradients as loss_and_gradients
from minilora.train.step import train_step as train_step
from minilora.train.trainer import Trainer as Trainer
